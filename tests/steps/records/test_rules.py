"""Rows come through unchanged or are rejected by line, column and code, one reject for each fault."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.model.contract import TRUTHS, Contract
from slidekeeper.ports.tables import LINE
from slidekeeper.steps.records.rules import FIRST_DAY, LAST_DAY, REJECTS, check_rules
from writers.contracts import contract

MRN: dict[str, Any] = {"name": "MRN", "identifies": "id", "regex": "[0-9]{8}"}
BORN: dict[str, Any] = {"name": "Born", "type": "date", "format": "%d.%m.%Y", "identifies": "birth-date"}


def table(rules: Contract, *rows: tuple[str | None, ...]) -> pl.DataFrame:
    """Rows of a file that has them from line 2 on; the slide's name is put before each."""
    names = [column.name for column in rules.columns]
    schema = {LINE: pl.Int64, **dict.fromkeys(names, pl.String)}
    return pl.DataFrame([(line, f"{line}.svs", *row) for line, row in enumerate(rows, 2)], schema=schema, orient="row")


def faults(rules: Contract, *rows: tuple[str | None, ...]) -> list[tuple[int, str, str]]:
    """The rejects; rows without are unchanged and all there."""
    given_rows = table(rules, *rows)
    good, rejects = check_rules(given_rows, rules)
    assert rejects.schema == REJECTS
    assert good.equals(given_rows.filter(~pl.col(LINE).is_in(rejects[LINE].to_list())))
    return rejects.rows()


def codes(cell: str | None, **keys: Any) -> list[str]:
    """The codes that one cell of a column X earns."""
    return [code for _, column, code in faults(contract({"name": "X", **keys}), (cell,)) if column == "X"]


def test_sound_rows_come_through_and_empty_cells_are_no_fault() -> None:
    assert faults(contract(MRN, BORN), ("00000001", "29.02.2024"), (None, None)) == []


def test_a_row_with_several_faults_has_a_reject_for_each() -> None:
    rules = contract({**MRN, "required": True}, BORN, {"name": "Sex", "vocabulary": ["F", "M"], "action": "keep"})
    assert faults(rules, ("x", "1.1.24", "f"), ("00000001", None, "F"), (None, "01.01.2024", "M")) == [
        (2, "MRN", "not-matching"),
        (2, "Born", "not-a-date"),
        (2, "Sex", "not-in-vocabulary"),
        (4, "MRN", "missing-value"),
    ]


@pytest.mark.parametrize(
    "cell", ["30.02.2024", "1.2.2024", "01.02.24", "2024-02-01", " 01.02.2024", "01.02.2024 ", "01.13.2024", "+1.02.2024", "x"]
)
def test_what_is_no_day_in_exactly_this_format_is_not_a_date(cell: str) -> None:
    assert codes(cell, **{**BORN, "name": "X"}) == ["not-a-date"]


@pytest.mark.parametrize("cell", ["31.12.9999", "01.01.1900", "01.02.0024", "30.12.1899"])
def test_placeholders_are_out_of_range(cell: str) -> None:
    assert codes(cell, **{**BORN, "name": "X"}) == ["out-of-range"]


@pytest.mark.parametrize(
    ("written", "cell", "sound"),
    [
        ("%d-%b-%Y", "01-JAN-2024", True),
        ("%-d.%-m.%Y", "1.2.2024", True),
        ("%-d.%-m.%Y", "01.2.2024", False),
        ("%F", "2024-02-01", True),
        ("%Y/%m/%d", "2024/02/01", True),
    ],
)
def test_formats_of_dates(written: str, cell: str, sound: bool) -> None:
    assert codes(cell, type="date", format=written) == ([] if sound else ["not-a-date"])


@pytest.mark.parametrize(
    ("written", "cell", "sound"),
    [
        ("%d.%m.%Y %H:%M", "01.02.2024 23:59", True),
        ("%d.%m.%Y %H:%M", "01.02.2024 24:00", False),
        ("%Y-%m-%dT%H:%M:%S", "2024-02-01T10:30:60", False),
        ("%F %T", "2024-02-01 10:30:59", True),
        ("%m/%d/%Y %I:%M %p", "02/01/2024 11:30 PM", True),
    ],
)
def test_formats_of_times(written: str, cell: str, sound: bool) -> None:
    assert codes(cell, type="datetime", format=written) == ([] if sound else ["not-a-date"])


@settings(deadline=None)
@given(st.dates(), st.sampled_from(["%d.%m.%Y", "%F", "%m/%d/%Y", "%d %B %Y"]))
def test_every_plausible_day_is_a_date_and_no_other(day: date, written: str) -> None:
    cell = day.strftime(written.replace("%F", "%Y-%m-%d")).replace(str(day.year), f"{day.year:04}") if day.year >= 1000 else day.isoformat()
    earned = codes(cell, type="date", format=written if day.year >= 1000 else "%F")
    assert earned == ([] if FIRST_DAY <= day <= LAST_DAY else ["out-of-range"])


@settings(deadline=None)
@given(st.text(st.sampled_from("0123456789.,+-eE ٣"), min_size=1, max_size=8), st.sampled_from(".,"))
def test_a_decimal_is_what_the_dialect_writes(cell: str, decimal: str) -> None:
    rules = contract({"name": "X", "type": "decimal", "action": "keep"}, dialect={"delimiter": ";", "decimal": decimal})
    whole, mark, fraction = cell.removeprefix("-" if cell.startswith("-") else "+").partition(decimal)
    sound = all(part.isascii() and part.isdigit() for part in ([whole, fraction] if mark else [whole]))
    assert faults(rules, (cell,)) == ([] if sound else [(2, "X", "not-a-number")])


@settings(deadline=None)
@given(st.decimals(-1000, 1000, places=2))
def test_limits_are_part_of_the_range(number: Decimal) -> None:
    assert codes(f"{number}", type="decimal", minimum=-5, maximum=7.5) == ([] if -5 <= number <= Decimal("7.5") else ["out-of-range"])


@pytest.mark.parametrize(
    ("cell", "earned"), [("12", []), ("-3", []), ("1.0", ["not-an-integer"]), ("1e3", ["not-an-integer"]), ("9" * 19, ["not-an-integer"])]
)
def test_integers(cell: str, earned: list[str]) -> None:
    assert codes(cell, type="integer", action="keep") == earned


@pytest.mark.parametrize("cell", [*TRUTHS, "YES", "Nein"])
def test_truths_are_booleans_in_any_case(cell: str) -> None:
    assert codes(cell, type="boolean", action="keep") == []


def test_other_words_are_no_booleans() -> None:
    assert codes("maybe", type="boolean", action="keep") == ["not-a-boolean"]


@pytest.mark.parametrize(("cell", "sound"), [("ab", True), ("xab", False), ("abx", False), ("ab\n", False), ("cd", True)])
def test_an_expression_must_match_the_whole_cell(cell: str, sound: bool) -> None:
    assert codes(cell, regex="ab|cd") == ([] if sound else ["not-matching"])


@pytest.mark.parametrize(
    "cell", ["1.2E+05", "1,23457E+11", "1E+10", "#NAME?", "########", "24-Jan", "Jan-24", "24. Jan", "01-Mai-2024", "Mrz 24"]
)
def test_a_spreadsheets_marks_in_an_identifier_are_damage(cell: str) -> None:
    assert codes(cell, identifies="id") == ["excel-damage"]
    assert codes(cell) == []


@pytest.mark.parametrize("cell", ["1.2E+05.svs", "1.2E+05"])
def test_a_spreadsheets_marks_in_a_file_name_are_damage_whatever_the_expression_allows(cell: str) -> None:
    assert codes(cell, identifies="file-name", regex=".+") == ["excel-damage"]


@pytest.mark.parametrize(
    ("cell", "earned"),
    [("1234567", "excel-damage"), ("1", "excel-damage"), ("123456789", "not-matching"), ("0123456", "not-matching"), ("x", "not-matching")],
)
def test_a_number_that_lacks_its_leading_zeros_is_damage(cell: str, earned: str) -> None:
    assert codes(cell, **{**MRN, "name": "X"}) == [earned]


def test_what_the_expression_allows_is_no_lost_zero_and_no_month() -> None:
    assert codes("1234567", identifies="id", regex="[0-9]{7,8}") == []
    assert codes("MAI-24", identifies="id", regex="[A-Z]{3}-[0-9]{2}") == []
    assert codes("12345.svs", identifies="file-name", regex=r"0[0-9]{5}\.svs") == ["excel-damage"]


def test_a_row_identical_in_every_cell_to_an_earlier_one_is_a_duplicate() -> None:
    rules = contract(MRN)
    rows = table(rules, ("00000001",), ("00000002",), ("00000001",), (None,), (None,), ("x",), ("x",))
    rows = rows.with_columns(pl.lit("a.svs").alias("Image File"))
    good, rejects = check_rules(rows, rules)
    assert good[LINE].to_list() == [2, 3, 5]
    assert rejects.rows() == [
        (4, "", "duplicate-row"),
        (6, "", "duplicate-row"),
        (7, "MRN", "not-matching"),
        (8, "MRN", "not-matching"),
        (8, "", "duplicate-row"),
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(st.none() | st.sampled_from(["", "a", "b"]), st.none() | st.sampled_from(["a", "ab"])), max_size=12))
def test_exactly_later_equals_are_duplicates(cells: list[tuple[str | None, str | None]]) -> None:
    rules = contract({"name": "X"}, {"name": "Y"})
    rows = table(rules, *cells).with_columns(pl.lit("a.svs").alias("Image File"))
    wanted = [line for line, row in enumerate(cells, 2) if row in cells[: line - 2]]
    assert check_rules(rows, rules)[1].rows() == [(line, "", "duplicate-row") for line in wanted]


def test_a_table_without_rows_has_no_faults() -> None:
    assert faults(contract(MRN, BORN)) == []
