"""A check tells why a file is refused, or every fault of every row; it never quotes the file."""

from __future__ import annotations

import io
import json

from slidekeeper.adapters.tables.duckdb_csv import DuckdbCsvReader
from slidekeeper.steps.records.checking import CheckReport, check_file
from writers.contracts import contract

RULES = contract({"name": "MRN", "identifies": "id", "regex": "[0-9]{3}"}, {"name": "Age", "type": "integer"})


def check(text: str) -> CheckReport:
    """Check a file of this text."""
    return check_file(io.BytesIO(text.encode()), RULES, DuckdbCsvReader())


def test_a_sound_file_is_clean() -> None:
    report = check("Image File,MRN,Age\na.svs,007,50\n")
    assert (report.clean, report.rows, report.rejected, report.codes) == (True, 1, 0, {})


def test_broken_rows_and_broken_rules_are_told_together_in_the_files_order() -> None:
    report = check("Image File,MRN,Age\na.svs,x,y\nshort\nb.svs,007,50\nc.svs,7,1\n")
    assert report.rejects.rows() == [
        (2, "MRN", "not-matching"),
        (2, "Age", "not-an-integer"),
        (3, "", "wrong-field-count"),
        (5, "MRN", "excel-damage"),
    ]
    assert (report.clean, report.rows, report.rejected) == (False, 4, 3)
    assert report.codes == {"excel-damage": 1, "not-an-integer": 1, "not-matching": 1, "wrong-field-count": 1}


def test_a_refused_file_says_why() -> None:
    report = check("Image File,MRN,Jane Doe\n")
    assert report.refusal is not None
    assert (report.clean, report.refusal.reason) == (False, "unknown-column")
    assert "Doe" not in json.dumps(report.as_json())
