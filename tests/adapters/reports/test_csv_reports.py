"""Reports for the hospital are whole, private files that spreadsheets read."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

from slidekeeper.adapters.reports.csv_reports import CsvReports
from slidekeeper.errors import Unavailable
from slidekeeper.model.concealed import Concealed

HEADER = ("file", "line", "code")
MONDAY = Concealed(b"monday")


async def test_a_report_holds_every_row_and_what_was_concealed(tmp_path: Path) -> None:
    rows = [(Concealed('S26-1;"A".svs'), number, "not-a-date") for number in range(2500)]
    await CsvReports(tmp_path).write(MONDAY, "rejected-r1", HEADER, rows)
    with (tmp_path / "monday" / "rejected-r1.csv").open(newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == list(HEADER)
    assert read[1:] == [['S26-1;"A".svs', str(number), "not-a-date"] for number in range(2500)]


async def test_a_report_is_for_its_owner_alone(tmp_path: Path) -> None:
    await CsvReports(tmp_path).write(MONDAY, "rejected-r1", HEADER, [])
    assert stat.S_IMODE((tmp_path / "monday").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "monday" / "rejected-r1.csv").stat().st_mode) == 0o600


async def test_a_later_report_replaces_the_earlier_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    reports = CsvReports(tmp_path)
    await reports.write(MONDAY, "rejected-r1", HEADER, [("a", 1, "x")])
    await reports.write(MONDAY, "rejected-r1", HEADER, [("b", 2, "y")])
    assert [path.name for path in (tmp_path / "monday").iterdir()] == ["rejected-r1.csv"]
    assert "b,2,y" in (tmp_path / "monday" / "rejected-r1.csv").read_text()


async def test_a_folder_that_is_no_text_keeps_its_bytes(tmp_path: Path) -> None:
    await CsvReports(tmp_path).write(Concealed(b"\xff\xfe"), "r", HEADER, [(Concealed("\udcff.svs"), 1, "x")])
    [folder] = list(tmp_path.iterdir())
    assert b"\xff.svs" in (folder / "r.csv").read_bytes()


async def test_a_place_that_cannot_be_written_pauses_the_work(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(Unavailable) as away:
        await CsvReports(tmp_path / "reports").write(MONDAY, "r", HEADER, [])
    assert away.value.place == "records-reports"
    assert "monday" not in str(away.value)
