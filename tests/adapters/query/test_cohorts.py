"""Cohorts are chosen by conditions over slides and what records say of them; a condition can do nothing else."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from slidekeeper.adapters.query.cohorts import DuckdbCohorts, checked_condition
from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.errors import Refused

NUMBERS = ["100000000001", "100000000002", "100000000003"]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Three slides; the first has rows of both sources, the second a diagnosis, the third none."""
    folder = tmp_path / "published"
    folder.mkdir()
    common = {"batch": "b", "key": "k", "format": "aperio", "magnification": 40.0, "mpp": 0.25, "stored": datetime(2026, 1, 1)}
    slides = [
        {**common, "number": number, "revision": revision, "extension": ".svs", "size": 10 * (index + 1), "digest": f"blake3:{index:064x}"}
        | {"width": 100 * (index + 1), "levels": [{"width": 1}], "removed": ["a"]}
        for index, (number, revision) in enumerate(zip(NUMBERS, (1, 2, 1), strict=True))
    ]
    pl.DataFrame(slides).write_parquet(folder / "slides.parquet")
    told = ((NUMBERS[0], 1, 10, "HE", 5), (NUMBERS[1], 2, 20, None, 4))
    cohort = [
        {**common, "slide_number": number, "case_number": "7", "patient_number": "8", "revision": revision, "size": size}
        | {"imagery_stain": stain, "diagnoses_grade": grade}
        for number, revision, size, stain, grade in told
    ]
    pl.DataFrame(cohort).write_parquet(folder / "cohort.parquet")
    return folder


def choose(published: Path, where: str) -> list[str]:
    chosen = DuckdbCohorts(DuckdbQuery(published, 256, 20)).choose(where, published.parent / "rows.parquet")
    return [image.number for image in chosen]


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("diagnoses_grade >= 4", [0, 1]),
        ("diagnoses_grade >= 4 AND imagery_stain = 'HE'", [0]),
        ("width > 150", [1, 2]),
        ("diagnoses_grade IS NULL", [2]),
        ("number IN (SELECT slide_number FROM cohort)", [0, 1]),
        ("diagnoses_grade > 1 -- and nothing else", [0, 1]),
        ("patient_number = '8'", [0, 1]),
        ("false", []),
    ],
)
def test_conditions_speak_about_slides_and_their_rows(published: Path, where: str, found: list[int]) -> None:
    assert choose(published, where) == [NUMBERS[index] for index in found]


def test_what_the_records_say_of_a_chosen_slide_are_its_labels(published: Path) -> None:
    assert choose(published, "diagnoses_grade = 4") == NUMBERS[1:2]
    parquet, text = DuckdbCohorts(DuckdbQuery(published, 256, 20)).labels(published.parent / "rows.parquet")
    [label] = pl.read_parquet(io.BytesIO(parquet)).to_dicts()
    assert (label["number"], label["revision"], label["diagnoses_grade"]) == (NUMBERS[1], 2, 4)
    assert "levels" not in label
    assert text.decode().count("\n") == 2


def test_numbers_are_found_as_far_as_they_are_published(published: Path) -> None:
    cohorts = DuckdbCohorts(DuckdbQuery(published, 256, 20))
    rows = published.parent / "rows.parquet"
    assert [image.number for image in cohorts.named([NUMBERS[2], "999999999999", NUMBERS[0]], rows)] == [NUMBERS[0], NUMBERS[2]]
    assert cohorts.without(rows, [NUMBERS[0]]) == 1
    assert pl.read_parquet(rows)["number"].to_list() == NUMBERS[2:]


def test_slides_without_any_records_can_be_chosen(published: Path) -> None:
    pl.read_parquet(published / "cohort.parquet").head(0).write_parquet(published / "cohort.parquet")
    assert choose(published, "width = 300") == NUMBERS[2:]


@pytest.mark.parametrize("where", ["", "1=1) UNION ALL SELECT 'x' --", "a = 1, b = 2", "'", "width >= 4; DROP TABLE slides", "*"])
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
