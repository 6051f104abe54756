"""Every spelling of an identifier is found; what means nothing is not."""

from __future__ import annotations

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.model.contract import Identifies
from slidekeeper.steps.records.identifiers import Identifiers
from steps.records.ward import YEARS, rows_of

KINDS = (
    (Identifies.NAME, "Łukasz O'Brien-Müller"),
    (Identifies.ID, "MRN-0047110815"),
    (Identifies.FILE_NAME, "S24-0012345_A1.svs"),
    (Identifies.ADDRESS, "784 Stamm Lock Unit 46"),
    (Identifies.PHONE, "(201) 555-0123"),
    (Identifies.EMAIL, "l.obrien@mail.example"),
    (Identifies.ZIP, "02155"),
    (Identifies.BIRTH_DATE, "02.03.1962"),
    (Identifies.OTHER, "DE 4711-0815"),
)
WARD = Identifiers.from_values(KINDS)


def kinds_in(text: str, identifiers: Identifiers = WARD) -> set[str]:
    """Kinds of identifiers found in one text."""
    return set(identifiers.in_texts(pl.Series([text]))["kind"])


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("name", "seen with LUKASZ o brien mueller today"),
        ("name", "Müller, L."),
        ("name", "brien"),
        ("id", "mrn 47110815"),
        ("id", "number 00 4711 0815 was called"),
        ("id", "xx47110815"),
        ("file-name", "s24 0012345 a1"),
        ("file-name", "/drop/S24-0012345_A1.svs"),
        ("address", "lives at 784 stamm lock"),
        ("phone", "call 201.555.0123."),
        ("email", "L.OBRIEN@MAIL.EXAMPLE"),
        ("zip", "in 02155 Medford"),
        ("other", "de47110815"),
    ],
)
def test_an_identifier_is_found_in_any_spelling(kind: str, text: str) -> None:
    assert kind in kinds_in(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1962-03-02",
            "02.03.1962",
            "03/02/1962",
            "19620302",
            "2 March 1962",
            "March 2nd, 1962",
            "2. März 1962",
            "02-Mar-1962",
            "Mar 2, 1962",
        ),
        *("born 02.03.1962 here", "2.MÄRZ 1962"),
    ],
)
def test_a_date_is_found_in_any_spelling(text: str) -> None:
    assert "birth-date" in kinds_in(text)


@pytest.mark.parametrize(
    "cell", ["02.03.1962", "1962-03-02", "1962-03-02 14:05", "1962-03-02T14:05:00Z", "19620302", "02-Mar-1962", "03/02/62"]
)
def test_a_date_is_known_however_the_hospital_writes_it(cell: str) -> None:
    assert kinds_in("2 march 1962", Identifiers.from_values([(Identifies.DATE, cell)])) == {"date"}


@pytest.mark.parametrize("text", ["benign prostate", "784", "lock unit", "Stamm", "2155", "March", "1962", "", "555", "47110", "3+4=7"])
def test_what_is_nobodys_is_not_found(text: str) -> None:
    assert kinds_in(text) == set()


@pytest.mark.parametrize("value", ["Li", "Kim", "1234", "", "-", "007", "0123"])
def test_what_is_too_short_is_not_searched(value: str) -> None:
    assert kinds_in(f"{value} {value}", Identifiers.from_values([(Identifies.ID, value)])) == set()


def test_free_text_and_ages_are_no_identifiers() -> None:
    values = [(Identifies.FREE_TEXT, "benign tissue"), (Identifies.AGE, "123456")]
    assert repr(Identifiers.from_values(values)) == "<Identifiers: 0 spellings>"


def test_nobody_is_named_by_repr() -> None:
    assert "brien" not in repr(WARD).lower()


def test_whole_tables_give_the_same_as_single_values() -> None:
    rows = rows_of({}, {"Name": "Somebody Else", "MRN": "99887766", "Born": "03.02.1962"})
    kinds = {column.name: column.identifies for column in YEARS.columns}
    by_values = Identifiers.from_values((kind, cell) for name, kind in kinds.items() if kind is not Identifies.NOT for cell in rows[name])
    by_rows = Identifiers.from_rows(rows, YEARS)
    for cell in [*(cell for name, kind in kinds.items() if kind is not Identifies.NOT for cell in rows[name]), "benign"]:
        assert kinds_in(f"seen: {cell}", by_rows) == kinds_in(f"seen: {cell}", by_values) == kinds_in(f"seen: {cell}", by_rows | by_values)


def test_dates_of_a_table_are_read_as_its_contract_says() -> None:
    identifiers = Identifiers.from_rows(rows_of({"Born": "03.02.1962"}), YEARS)
    assert kinds_in("3 february 1962", identifiers) == {"birth-date"}
    assert kinds_in("2 march 1962", identifiers) == set()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.from_regex(r"[A-Z]{4,8}[0-9]{4,8}", fullmatch=True), min_size=1, max_size=20, unique=True), st.data())
def test_every_identifier_is_found_within_a_text(values: list[str], data: st.DataObject) -> None:
    identifiers = Identifiers.from_values((Identifies.ID, value) for value in values)
    value = data.draw(st.sampled_from(values))
    assert kinds_in(f"the slide, {value.lower()}; cut", identifiers) == {"id"}


def numbers(*values: int) -> pl.Series:
    """Numbers as the audit hands them over."""
    return pl.Series([str(value) for value in values])


def test_a_single_identifier_among_numbers_is_found() -> None:
    assert WARD.in_numbers(numbers(3, 47110815, 12))["index"].to_list() == [1]


def test_numbers_that_meet_identifiers_by_chance_are_no_finding() -> None:
    draw = random.Random(1)
    crowded = Identifiers.from_values((Identifies.ID, str(draw.randrange(10**7, 10**8))) for _ in range(100_000))
    measures = {draw.randrange(10**7, 10**8) for _ in range(5_000)}
    assert crowded.in_numbers(numbers(*measures)).is_empty()


def test_numbers_in_a_region_where_identifiers_crowd_are_no_finding() -> None:
    state = Identifiers.from_values((Identifies.ZIP, str(code)) for code in range(10001, 14926, 3))
    assert state.in_numbers(numbers(*range(10_000, 15_000))).is_empty()


def test_a_column_of_identifiers_among_numbers_is_found() -> None:
    draw = random.Random(2)
    everybody = [draw.randrange(10**7, 10**8) for _ in range(20_000)]
    identifiers = Identifiers.from_values((Identifies.ID, f"{value:010}") for value in everybody)
    assert identifiers.in_numbers(numbers(*everybody[:500])).height == 500
