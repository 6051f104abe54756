"""Combinations that few patients share are counted, and never shown."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.steps.records.small_cells import quasi_columns, small_cells
from steps.records.ward import SHIFTS, YEARS

TEN = pl.DataFrame(
    {
        "patient_number": [f"{place}" for place in range(10)],
        "zip": ["021"] * 9 + ["945"],
        "age": ["40"] * 5 + ["50"] * 5,
    }
)


def test_rare_values_and_combinations_are_counted_by_column() -> None:
    report = {tuple(row.pop("columns")): row for row in small_cells(TEN, ["zip", "age"]).report.rows(named=True)}
    assert report == {
        ("zip",): {"cells": 2, "small": 1, "rows": 1, "fewest": 1},
        ("age",): {"cells": 2, "small": 0, "rows": 0, "fewest": 5},
        ("zip", "age"): {"cells": 3, "small": 2, "rows": 5, "fewest": 1},
    }
    assert small_cells(TEN, ["zip", "age"]).rows == 5


def test_the_report_holds_no_value() -> None:
    assert "945" not in small_cells(TEN, ["zip", "age"]).report.write_json()


def test_patients_are_counted_not_rows() -> None:
    slides = pl.DataFrame({"patient_number": ["1"] * 20, "zip": ["021"] * 20})
    assert small_cells(slides, ["zip"]).rows == 20
    assert small_cells(slides.drop("patient_number"), ["zip"]).rows == 0


def test_rows_of_unnamed_patients_count_each_for_one() -> None:
    frame = pl.DataFrame({"patient_number": [None] * 5, "zip": ["021"] * 5}, schema={"patient_number": pl.String, "zip": pl.String})
    assert small_cells(frame, ["zip"]).rows == 0


def test_an_empty_cell_is_a_value_like_any_other() -> None:
    assert small_cells(pl.DataFrame({"zip": ["021"] * 5 + [None]}), ["zip"]).rows == 1


@pytest.mark.parametrize("frame", [TEN.clear(), TEN.select("patient_number")])
def test_nothing_is_rare_where_nothing_is_told(frame: pl.DataFrame) -> None:
    assert small_cells(frame, ["zip", "age"]).rows == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2)] * 4, st.integers(0, 8)), max_size=60), st.integers(1, 6))
def test_the_rows_are_those_of_the_reported_combinations(rows: list[tuple[int, ...]], k: int) -> None:
    frame = pl.DataFrame(rows, schema=["a", "b", "c", "d", "patient_number"], orient="row").cast({"patient_number": pl.String})
    rare: set[int] = set()
    for chosen in ("abc", "abd", "acd", "bcd"):
        values = [row[:-1] for row in frame.select(*chosen, "patient_number").rows()]
        patients: dict[tuple[int, ...], set[int]] = {}
        for value, row in zip(values, rows, strict=True):
            patients.setdefault(value, set()).add(row[-1])
        rare |= {place for place, value in enumerate(values) if len(patients[value]) < k}
    assert small_cells(frame, ["a", "b", "c", "d"], k).rows == len(rare)


def test_what_others_know_comes_first_and_numbers_are_left_out() -> None:
    assert quasi_columns(YEARS) == ("zip", "age", "born", "taken", "race", "smoker")
    assert quasi_columns(SHIFTS) == ("zip", "age", "race", "smoker")
