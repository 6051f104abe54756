"""Cohorts are chosen by conditions over slides and all rows tied to them; a condition can do nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from slidekeeper.adapters.query.cohorts import DuckdbCohorts, checked_condition
from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.errors import Refused

NUMBERS = ["100000000001", "100000000002", "100000000003"]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Three slides; the first has rows of both sources, the second two diagnoses, the third none."""
    folder = tmp_path / "published"
    folder.mkdir()
    slides = {
        "number": NUMBERS,
        "revision": [1, 2, 1],
        "extension": [".svs"] * 3,
        "size": [10, 20, 30],
        "digest": [f"blake3:{index:064x}" for index in range(3)],
        "width": [100, 200, 300],
        "levels": [[{"width": 1}]] * 3,
        "removed": [["a"]] * 3,
    }
    pl.DataFrame(slides).write_parquet(folder / "slides.parquet")
    keys = {"records": "r", "batch": "b", "revision": 1, "contract": "c", "contract_version": 1}
    rows = [("imagery", 2, 0), ("diagnoses", 2, 0), ("diagnoses", 3, 1), ("diagnoses", 4, 1)]
    aligned = [
        {"slide_number": NUMBERS[at], "case_number": "7", "patient_number": "8", "records": "r", "source": s, "row": r} for s, r, at in rows
    ]
    pl.DataFrame(aligned).write_parquet(folder / "alignment.parquet")
    pl.DataFrame([{**keys, "row": 2, "slide_number": "other", "stain": "HE", "comment": "i"}]).write_parquet(
        folder / "records_imagery.parquet"
    )
    diagnoses = [{**keys, "row": row, "slide_number": "other", "isup": isup, "comment": "d"} for row, isup in ((2, 5), (3, 4), (4, 1))]
    pl.DataFrame(diagnoses).write_parquet(folder / "records_diagnoses.parquet")
    return folder


def choose(published: Path, where: str) -> list[str]:
    chosen = DuckdbCohorts(DuckdbQuery(published, 256, 20)).choose(where, published.parent / "rows.parquet")
    return [image.number for image in chosen]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("isup >= 4", [0, 1]),
        ("isup >= 4 AND stain = 'HE'", [0]),
        ("width > 150", [1, 2]),
        ("isup IS NULL", [2]),
        ("number IN (SELECT slide_number FROM alignment)", [0, 1]),
        ("diagnoses_comment = 'd' -- and nothing else", [0, 1]),
        ("patient_number = '8'", [0, 1]),
        ("false", []),
    ],
)
def test_conditions_speak_about_slides_and_their_rows(published: Path, where: str, found: list[int]) -> None:
    assert choose(published, where) == [NUMBERS[index] for index in found]


def test_all_rows_of_a_chosen_slide_are_its_labels(published: Path) -> None:
    assert choose(published, "isup = 4") == NUMBERS[1:2]
    parquet, text = DuckdbCohorts(DuckdbQuery(published, 256, 20)).labels(published.parent / "rows.parquet")
    table = pl.read_parquet(io.BytesIO(parquet))
    assert table["isup"].sort().to_list() == [1, 4]
    assert set(table["revision"]) == {2}
    assert "levels" not in table.columns
    assert text.decode().count("\n") == 3


def test_numbers_are_found_as_far_as_they_are_published(published: Path) -> None:
    cohorts = DuckdbCohorts(DuckdbQuery(published, 256, 20))
    rows = published.parent / "rows.parquet"
    assert [image.number for image in cohorts.named([NUMBERS[2], "999999999999", NUMBERS[0]], rows)] == [NUMBERS[0], NUMBERS[2]]
    assert cohorts.without(rows, [NUMBERS[0]]) == 1
    assert pl.read_parquet(rows)["number"].to_list() == NUMBERS[2:]


def test_slides_without_any_records_can_be_chosen(published: Path) -> None:
    for file in published.glob("*.parquet"):
        if file.stem != "slides":
            file.unlink()
    assert choose(published, "width = 300") == NUMBERS[2:]


def test_a_published_cohort_table_takes_the_relations_place(published: Path) -> None:
    pl.read_parquet(published / "slides.parquet").head(1).write_parquet(published / "cohort.parquet")
    assert choose(published, "true") == NUMBERS[:1]


@pytest.mark.parametrize("where", ["", "1=1) UNION ALL SELECT 'x' --", "a = 1, b = 2", "'", "isup >= 4; DROP TABLE slides", "*"])
def test_what_is_no_condition_is_refused(published: Path, where: str) -> None:
    with pytest.raises(Refused) as refused:
        choose(published, where)
    assert refused.value.remedy


@pytest.mark.parametrize("where", ["number IN (SELECT content FROM read_text('/etc/passwd'))", "nothing = 1"])
def test_a_condition_is_as_isolated_as_a_query(published: Path, where: str) -> None:
    with pytest.raises(Refused):
        choose(published, where)


def test_a_conditions_comment_hides_nothing_behind_it() -> None:
    assert checked_condition("a = 1 -- )").replace(" ", "") == "a=1"
