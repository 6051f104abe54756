"""From three CSV files to aligned rows, with the real daemon: nothing identified comes out, late and corrected things find their place."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from system.site_under_test import Site
from writers import write_pack
from writers.planted import Planted
from writers.records import write_records

SESSION = "session-1"
PATIENCE = 60


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site that takes records quickly, its daemon running."""
    site = Site.create(tmp_path, records__settle_seconds=0.3, records__scan_seconds=0.3)
    site.start()
    yield site
    site.kill()


def scan(site: Site, count: int, first: int = 0) -> Sequence[Planted]:
    """Drop packs of one session and give the notice."""
    folder = site.drop / SESSION
    folder.mkdir(exist_ok=True)
    planted = [write_pack(folder, seed=seed) for seed in range(first, first + count)]
    before = len(site.events("batch.completed"))
    site.wait_until(lambda: site.run("batch", "ready", str(folder), check=False).returncode == 0, PATIENCE, "the notice is taken", 0.3)
    site.wait_until(lambda: len(site.events("batch.completed")) > before, PATIENCE, "the batch is complete")
    return planted


def aligned(site: Site, count: int = 1) -> Any:
    """The newest alignment's facts, once there were so many."""
    site.wait_until(lambda: len(site.events("records.aligned")) >= count, PATIENCE, f"{count} alignments; {site.ask('/records')}")
    return site.events("records.aligned")[-1]["data"]["facts"]


def published(site: Site, name: str) -> pl.DataFrame:
    """A published table."""
    return pl.read_parquet(site.state / "published" / f"{name}.parquet")


def wait_for_published(site: Site, *names: str) -> None:
    """Wait until these tables are published; each replaces its predecessor on its own."""
    files = [site.state / "published" / f"{name}.parquet" for name in names]
    site.wait_until(lambda: all(file.exists() for file in files), PATIENCE, f"{names} are published")


def names_of(planted: Sequence[Planted]) -> list[str]:
    """The original image file names."""
    return [pack.path.name for pack in planted]


def test_records_are_aligned_and_nothing_identified_comes_out(site: Site) -> None:
    planted = scan(site, 3)
    records = write_records(site.folder / "records" / SESSION, names_of(planted), mistakes=True)
    facts = aligned(site)
    assert facts["counts"]["matched"] == 9
    assert facts["counts"]["row-without-slide"] == 1
    [listed] = site.json("records", "list")
    assert listed["state"] == "aligned"
    wait_for_published(site, "alignment", "records_patients", "records_diagnoses")
    numbers = {slide["number"] for slide in site.json("slides", "list")}
    assert set(published(site, "records_patients")["slide_number"]) == numbers
    assert published(site, "records_diagnoses").height == 3
    site.stop()
    slides = {identifier for pack in planted for identifier in pack.identifiers}
    site.check_nothing_leaked(slides | records.identifiers)


def test_the_hospitals_report_names_file_line_column_and_code(site: Site) -> None:
    planted = scan(site, 2)
    write_records(site.folder / "records" / SESSION, names_of(planted), mistakes=True)
    aligned(site)
    report = (site.folder / "reports" / SESSION / "rejected-r1.csv").read_text()
    for line in ("CSV2_patients.csv,4,Collection Date,not-a-date", "CSV2_patients.csv,5,MRN,", "CSV3_diagnoses.csv,5,,wrong-field-count"):
        assert line in report


def test_a_late_slide_is_aligned_by_itself(site: Site) -> None:
    planted = scan(site, 2)
    late = f"S26-{10000 + 2};A;1.svs"
    write_records(site.folder / "records" / SESSION, [*names_of(planted), late])
    assert aligned(site)["counts"]["row-without-slide"] == 3
    scan(site, 1, first=2)
    site.wait_until(lambda: aligned(site)["counts"]["row-without-slide"] == 0, PATIENCE, "the late slide has its rows")
    assert aligned(site)["counts"]["matched"] == 9


def test_a_corrected_file_replaces_its_rows_and_keeps_the_history(site: Site) -> None:
    planted = scan(site, 2)
    folder = site.folder / "records" / SESSION
    write_records(folder, names_of(planted), mistakes=True)
    aligned(site)
    write_records(folder, names_of(planted), seed=2)
    assert aligned(site, 2)["revision"] == 2
    [listed] = site.json("records", "list")
    assert listed["revision"] == 2
    shown = site.json("records", "show", listed["records"])
    assert [each["revision"] for each in shown["history"]] == [1, 2]


def test_a_file_with_an_unknown_column_is_held_and_taken_once_it_is_right(site: Site) -> None:
    planted = scan(site, 1)
    folder = site.folder / "records" / SESSION
    written = write_records(folder, names_of(planted))
    text = written.files[0].read_text()
    written.files[0].write_text("\n".join(f"{line};Mirabella Zzyzx" for line in text.splitlines()) + "\n")
    site.wait_until(lambda: [each["state"] for each in site.ask("/records")] == ["quarantined"], PATIENCE, "held")
    [held] = site.json("records", "list")
    assert held["reason"] == "unknown-column"
    assert "Mirabella" not in json.dumps(held)
    written.files[0].write_text(text)
    assert aligned(site)["counts"]["matched"] == 3


def test_a_withdrawn_patient_is_gone_everywhere(site: Site) -> None:
    planted = scan(site, 2)
    records = write_records(site.folder / "records" / SESSION, names_of(planted))
    aligned(site)
    wait_for_published(site, "alignment", "records_patients", "records_diagnoses")
    rows = published(site, "records_patients").sort("row")
    gone, patient = rows["slide_number"][0], rows["patient_number"][0]
    done = json.loads(site.run("withdraw", patient, "--yes", "--json").stdout)
    assert (done["slides"], done["revisions"], done["rows"]) == (1, 1, 3)
    assert not (site.bucket / "slides" / gone[:3] / gone).exists()
    assert aligned(site, 2)["counts"]["matched"] == 3
    site.wait_until(lambda: gone not in set(published(site, "records_patients")["slide_number"]), 20, "the published rows are without it")
    assert {slide["number"] for slide in site.json("slides", "list")} == set(rows["slide_number"]) - {gone}
    site.stop()
    outside = [path for path in site.readable_outputs() if path.suffix in {".parquet", ".duckdb", ".svs", ".jpg"}]
    assert not [path for path in outside if gone.encode() in path.read_bytes() or patient.encode() in path.read_bytes()]
    linking = b"".join(path.read_bytes() for path in (site.state / "identified").glob("linking.sqlite*"))
    assert records.patients[names_of(planted)[0]].mrn.encode() not in linking
    # A withdrawn slide that is scanned again is held, not taken.
    site.start()
    shutil.copyfile(planted[0].path, site.drop / planted[0].path.name)
    site.wait_until(lambda: site.packs().get("quarantined", 0) == 1, PATIENCE, "the withdrawn slide is held")
    assert site.json("quarantine", "list")[0]["reason"] == "consent-withdrawn"


def test_kills_while_records_are_loaded_and_aligned_lose_nothing(site: Site) -> None:
    planted = scan(site, 3)
    random = Random(7)
    write_records(site.folder / "records" / SESSION, names_of(planted), mistakes=True)
    for _ in range(5):
        time.sleep(random.uniform(0.05, 1.8))
        site.kill()
        site.start(wait=False)
    site.wait_until(lambda: site.status() is not None, 20, "the daemon answers")
    assert aligned(site)["counts"]["matched"] == 9
    assert len(site.json("events", "--type", "records.loaded", "--limit", "100")) == 1
    [folder] = (site.bucket / "records").iterdir()
    assert "r1" in {path.name for path in folder.iterdir()}
    assert not list((site.bucket / ".aside").glob("*"))
