"""What becomes of rows: numbers for identifiers, years and distances for dates, classes for ages, and nothing of the rest."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.errors import Permanent, Refused
from slidekeeper.model.contract import Column, Contract, Dialect, Domain
from slidekeeper.steps.records.generalizing import class_labels
from slidekeeper.steps.records.keys import Keys
from slidekeeper.steps.records.transform import Scrub, needed_columns, oldest_patients, output_columns, transform, under
from slidekeeper.steps.records.zip3 import restricted_prefixes
from steps.records.ward import PATIENT, SHIFTS, TODAY, YEARS, hide_names, keys_for, rows_of, table, told

QUICK = settings(max_examples=30, deadline=None)
DAYS = st.dates(date(1937, 1, 1), date(2026, 1, 1))


def came_out(column: Column, *cells: str | None, today: date = TODAY) -> list[object]:
    """What one column becomes."""
    rows, contract = table([column], *({column.name: cell} for cell in cells))
    return transform(rows, contract, keys_for(rows, contract), today)[column.output_name].to_list()


def test_a_row_comes_out_without_its_patient() -> None:
    out = transform(rows_of({}), YEARS, keys_for(rows_of({}), YEARS), TODAY, hide_names)
    assert out.row(0, named=True) == {
        "row": 2,
        "slide_number": "100000000000",
        "case_number": "200000000000",
        "patient_number": "300000000000",
        "race": "White",
        "blocks": 12,
        "psa": 7.25,
        "smoker": False,
        "age": "61",
        "size_mm": "[10,20)",
        "zip": "021",
        "gleason_primary": 3,
        "gleason_secondary": 4,
        "gleason_tertiary": None,
        "gleason_score": 7,
        "gleason_grade_group": 2,
        "note": "[name] came by himself.",
        "born": 1962,
        "taken": 2023,
        "reported": 12,
    }


def test_columns_have_their_types() -> None:
    rows = rows_of({})
    schema = transform(rows, SHIFTS, keys_for(rows, SHIFTS), TODAY, hide_names).schema
    assert schema["row"] == pl.Int64
    assert schema["psa"] == pl.Float64
    assert schema["blocks"] == pl.Int64
    assert schema["smoker"] == pl.Boolean
    assert schema["born"] == schema["taken"] == schema["reported"] == pl.Date
    years = transform(rows, YEARS, keys_for(rows, YEARS), TODAY).schema
    assert years["born"] == years["taken"] == years["reported"] == pl.Int32
    assert transform(rows.clear(), YEARS, keys_for(rows, YEARS), TODAY).schema == years


@pytest.mark.parametrize("scrub", [None, hide_names])
def test_the_columns_that_come_out_are_those_announced(scrub: Scrub | None) -> None:
    rows = rows_of({}, {})
    out = transform(rows, YEARS, keys_for(rows, YEARS), TODAY, scrub)
    stored = under(YEARS, out)
    assert tuple(stored.columns) == output_columns(YEARS, scrubbing=scrub is not None)
    assert stored.select("contract", "contract_version").unique().rows() == [(YEARS.digest, 1)]
    assert ("note" in out.columns) == (scrub is not None)


@pytest.mark.parametrize("contract", [YEARS, SHIFTS])
def test_columns_that_are_not_needed_change_nothing(contract: Contract) -> None:
    rows = rows_of({}, {"Age": "95"})
    keys = keys_for(rows, contract)
    needed = needed_columns(contract)
    assert len(needed) < rows.width
    assert transform(rows.select(needed), contract, keys, TODAY, hide_names).equals(transform(rows, contract, keys, TODAY, hide_names))


def test_what_is_empty_stays_empty() -> None:
    rows = rows_of(dict.fromkeys(PATIENT))
    for contract in (YEARS, SHIFTS):
        out = transform(rows, contract, Keys({}), TODAY, lambda texts, _: texts)
        assert all(value is None for name, value in out.row(0, named=True).items() if name != "row")


def test_the_order_of_rows_is_kept() -> None:
    rows = rows_of(*({"MRN": f"mrn-{place % 3}", "Blocks": str(place)} for place in range(50)))
    out = transform(rows, YEARS, keys_for(rows, YEARS), TODAY)
    assert out["blocks"].to_list() == list(range(50))
    assert out["row"].to_list() == rows["line"].to_list()


@QUICK
@given(st.lists(st.tuples(st.integers(0, 4), DAYS, st.times(), DAYS), min_size=1, max_size=20))
def test_a_patient_has_one_number_and_one_offset(visits: list[tuple[int, date, object, date]]) -> None:
    rows = rows_of(
        *(
            {"MRN": f"mrn-{who}", "Taken": f"{taken:%Y-%m-%d} {at:%H:%M}", "Reported": f"{reported:%Y-%m-%d}", "Born": None}
            for who, taken, at, reported in visits
        )
    )
    keys = keys_for(rows, SHIFTS)
    numbers = told(keys.numbers[Domain.PATIENT])
    offsets = told(keys.offsets)
    out = transform(rows, SHIFTS, keys, TODAY)
    for (who, taken, _, reported), (number, shifted, shifted_report) in zip(
        visits, out.select("patient_number", "taken", "reported").iter_rows(), strict=True
    ):
        assert number == numbers[f"mrn-{who}"]
        offset = timedelta(days=offsets[number])
        assert (shifted, shifted_report) == (taken + offset, reported + offset)
        assert shifted != taken


@QUICK
@given(st.lists(DAYS, min_size=2, max_size=20), st.integers(-3650, 3650).filter(bool))
def test_shifting_preserves_order_and_intervals(days: list[date], offset: int) -> None:
    column = Column(name="Seen", identifies="date", type="date", format="%d/%m/%Y", action="shift")
    rows, contract = table([column], *({"MRN": "one", "Seen": f"{day:%d/%m/%Y}"} for day in days))
    shifted = transform(rows, contract, keys_for(rows, contract, offset), TODAY)["seen"].to_list()
    assert [day - shifted[0] for day in shifted] == [day - days[0] for day in days]


def test_the_time_of_day_is_left_behind() -> None:
    column = Column(name="At", identifies="date", type="datetime", format="%Y-%m-%dT%H:%M:%S", action="shift")
    assert came_out(column, "2023-05-17T23:59:59") == [date(2023, 6, 3)]


def test_a_date_of_an_unnamed_patient_is_not_shifted_but_dropped() -> None:
    column = Column(name="Seen", identifies="date", type="date", format="%Y-%m-%d", action="shift")
    rows, contract = table([column], {"MRN": None, "Seen": "2023-05-17"})
    assert transform(rows, contract, keys_for(rows, contract), TODAY)["seen"].to_list() == [None]


@QUICK
@given(DAYS, st.integers(-40_000, 40_000))
def test_days_count_from_the_anchor(anchor: date, distance: int) -> None:
    rows = rows_of({"Taken": f"{anchor:%Y-%m-%d} 23:59", "Reported": (anchor + timedelta(days=distance)).isoformat()})
    assert transform(rows, YEARS, keys_for(rows, YEARS), TODAY)["reported"].to_list() == [distance]


BIRTH = Column(name="Born", identifies="birth-date", type="date", format="%Y-%m-%d", action="year")
AGE = Column(name="Age", identifies="age", type="integer", action="generalize")


@QUICK
@given(st.lists(st.tuples(st.integers(0, 3), st.dates(date(1900, 1, 1), TODAY), st.integers(0, 120)), min_size=1, max_size=12))
def test_nobody_who_is_or_was_90_has_a_year_of_birth(visits: list[tuple[int, date, int]]) -> None:
    rows, contract = table([BIRTH, AGE], *({"MRN": f"{who}", "Born": born.isoformat(), "Age": f"{age}"} for who, born, age in visits))
    out = transform(rows, contract, keys_for(rows, contract), TODAY)
    old = {who for who, born, age in visits if TODAY.year - born.year >= 90 or age >= 90}
    assert out["born"].to_list() == [None if who in old else born.year for who, born, _ in visits]
    assert out["age"].to_list() == ["90+" if age >= 90 else str(age) for _, _, age in visits]


def test_an_age_that_is_dropped_still_hides_the_year_of_birth() -> None:
    text = Column(name="Age in words", identifies="age")
    rows, contract = table([BIRTH, text], {"Born": "1950-01-01", "Age in words": "91 years"}, {"Born": "1950-01-01", "Age in words": "old"})
    assert transform(rows, contract, keys_for(rows, contract), TODAY)["born"].to_list() == [None, 1950]


def test_a_patient_known_as_old_from_another_source_has_no_year_of_birth() -> None:
    ages, of_ages = table([AGE], {"MRN": "one", "Age": "93"}, {"MRN": "two", "Age": "40"})
    births, of_births = table([BIRTH], {"MRN": "one", "Born": "1960-01-01"}, {"MRN": "two", "Born": "1960-01-01"})
    keys = keys_for(ages, of_ages)
    oldest = oldest_patients(ages, of_ages, keys, TODAY)
    assert oldest == {told(keys.numbers[Domain.PATIENT])["one"]}
    out = transform(births, of_births, Keys(keys_for(births, of_births).numbers), TODAY, oldest=oldest)
    assert out["born"].to_list() == [None, 1960]


@QUICK
@given(st.floats(-1e6, 1e6), st.lists(st.integers(-1000, 1000), min_size=1, max_size=6, unique=True))
def test_a_number_is_in_the_class_that_holds_it(number: float, edges: list[int]) -> None:
    column = Column(name="N", type="decimal", action="generalize", bins=tuple(sorted(edges)))
    label = came_out(column, f"{number:.6f}")[0]
    assert label in class_labels(column)
    low, high = {"<": (-1e9, sorted(edges)[0]), ">": (sorted(edges)[-1], 1e9)}.get(str(label)[0]) or map(int, str(label)[1:-1].split(","))
    assert low <= round(number, 6) < high


def test_age_classes_end_at_90() -> None:
    column = Column(name="Age", identifies="age", type="decimal", action="generalize", bins=(18, 65, 85))
    assert class_labels(column) == ("<18", "[18,65)", "[65,85)", "[85,90)", "90+")
    assert came_out(column, "3", "18", "84.9", "89.9", "90", "119", "-1") == ["<18", "[18,65)", "[65,85)", "[85,90)", "90+", "90+", None]


def test_zip_codes_keep_three_digits_where_enough_people_live() -> None:
    column = Column(name="Zip", identifies="zip", action="zip3")
    cells = ("02155", " 02155-1234", "021551234", "03601", "2155", "0215X", "SW1A 1AA", "80331 München", None)
    assert came_out(column, *cells) == ["021", "021", "021", "000", None, None, None, None, None]


def test_the_list_of_restricted_prefixes_is_that_of_the_census_of_2020() -> None:
    assert len(restricted_prefixes()) == 18
    assert {"036", "059", "102", "203", "369", "893"} <= set(restricted_prefixes())


def test_numbers_are_read_as_the_dialect_writes_them() -> None:
    rows, contract = table(
        [Column(name="V", type="decimal", action="keep")], *({"V": each} for each in ("1,5", "1.5", "2", "nan", "-0,25e1"))
    )
    german = contract.model_copy(update={"dialect": Dialect(decimal=",")})
    assert transform(rows, german, keys_for(rows, contract), TODAY)["v"].to_list() == [1.5, None, 2.0, None, -2.5]


def test_a_word_outside_the_vocabulary_does_not_come_out() -> None:
    assert came_out(Column(name="Race", action="keep", vocabulary=("White", "Other")), "White", "white", "Smith") == ["White", None, None]


def test_an_identifier_without_a_number_stops_everything() -> None:
    rows = rows_of({})
    with pytest.raises(Permanent, match="missing-number") as failure:
        transform(rows, YEARS, Keys({}), TODAY)
    assert PATIENT["File"] not in str(failure.value)


@pytest.mark.parametrize(("offsets", "reason"), [({}, "missing-offset"), ({"300000000000": 0}, "zero-offset")])
def test_dates_are_never_left_where_they_were(offsets: dict[str, int], reason: str) -> None:
    rows = rows_of({})
    with pytest.raises(Permanent, match=reason):
        transform(rows, SHIFTS, Keys(keys_for(rows, SHIFTS).numbers, Keys.of({}, offsets).offsets), TODAY)


def test_a_scrubber_that_loses_rows_is_refused() -> None:
    rows = rows_of({}, {})
    with pytest.raises(Permanent, match="scrub-broken"):
        transform(rows, YEARS, keys_for(rows, YEARS), TODAY, lambda texts, _: texts.head(1))


def test_two_results_of_one_name_are_refused() -> None:
    score = Column(name="s", type="integer", action="keep", output="gleason_score")
    rows, contract = table([score, Column(name="g", identifies="free-text", action="extract", grammar="gleason", output="gleason")], {})
    with pytest.raises(Refused, match="output-collision"):
        transform(rows, contract, keys_for(rows, contract), TODAY)


def test_keys_show_nobody() -> None:
    assert repr(keys_for(rows_of({}), SHIFTS)) == "Keys()"


SECRET = st.text("bcdfghjkmnpqvwxz", min_size=12, max_size=12)
HIDDEN = ("File", "Accession No", "MRN", "Name", "Street", "Phone", "Mail", "Diagnosis", "Remark")


@QUICK
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(HIDDEN, SECRET)), min_size=1, max_size=5))
def test_no_value_of_an_identifying_column_survives(people: list[dict[str, str]]) -> None:
    rows = rows_of(*people)
    for contract in (YEARS, SHIFTS):
        text = transform(rows, contract, keys_for(rows, contract), TODAY).write_csv()
        assert not any(secret in text for person in people for secret in person.values())
