"""The audit passes what is clean and stops what is not; for every action a sabotaged transformation is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from slidekeeper.model.contract import Column, Contract, Domain, Identifies
from slidekeeper.steps.records.audit import Finding, Identifiers, audit
from slidekeeper.steps.records.canaries import CANARIES, plant, remove
from slidekeeper.steps.records.transform import transform
from steps.records.ward import PATIENT, SHIFTS, TODAY, YEARS, hide_names, keys_for, rows_of, table, told

Sabotage = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""From clean output and planted raw rows to output that leaks."""

MANY = [
    {
        "File": f"S24-{place:07}_A1.svs",
        "Accession No": f"S24-{place:07}",
        "MRN": f"{4711000 + 37 * place:010}",
        "Name": f"Person{place}son Smithers",
    }
    for place in range(40)
]


def findings(contract: Contract, sabotage: Sabotage = lambda out, raw: out, *, judged: bool = True) -> tuple[Finding, ...]:
    """Plant, transform, sabotage, audit."""
    planted, canary = plant(rows_of(*MANY), contract)
    identifiers = Identifiers.from_rows(rows_of(*MANY), contract).with_canary(canary)
    out = transform(planted, contract, keys_for(rows_of(*MANY), contract).with_canary(canary), TODAY, hide_names)
    return audit({contract.source: sabotage(out, planted)}, identifiers, {contract.source: contract} if judged else None)


def instead(column: str, raw: str, dtype: type[pl.DataType] = pl.String) -> Sabotage:
    """Emit raw cells in a column's place."""
    return lambda out, rows: out.with_columns(rows[raw].cast(dtype, strict=False).alias(column))


@pytest.mark.parametrize("contract", [YEARS, SHIFTS])
def test_clean_output_is_clean(contract: Contract) -> None:
    assert findings(contract) == ()


LEAKS: dict[str, tuple[Contract, Sabotage, str, str]] = {
    "pseudonymize, slide": (YEARS, instead("slide_number", "File"), "slide_number", "misshapen"),
    "pseudonymize, case": (YEARS, instead("case_number", "Accession No"), "case_number", "id"),
    "pseudonymize, patient": (YEARS, instead("patient_number", "MRN"), "patient_number", "canary"),
    "drop": (YEARS, lambda out, raw: out.with_columns(raw["Name"].alias("name")), "name", "unexpected-column"),
    "drop, in another column": (YEARS, instead("race", "Name"), "race", "name"),
    "keep, text": (YEARS, instead("race", "Street"), "race", "misshapen"),
    "keep, integer": (YEARS, instead("blocks", "MRN", pl.Int64), "blocks", "id"),
    "keep, decimal": (YEARS, instead("psa", "MRN", pl.Float64), "psa", "id"),
    "keep, boolean": (YEARS, instead("smoker", "Phone"), "smoker", "phone"),
    "year": (YEARS, instead("taken", "Taken"), "taken", "misshapen"),
    "year, as a number": (
        YEARS,
        lambda out, raw: out.with_columns(raw["Taken"].str.head(10).str.replace_all("-", "").cast(pl.Int32).alias("taken")),
        "taken",
        "misshapen",
    ),
    "year of a birth, oldest included": (
        YEARS,
        lambda out, raw: out.with_columns(raw["Born"].str.tail(4).cast(pl.Int32).alias("born")),
        "born",
        "canary",
    ),
    "days from anchor, since the epoch": (
        YEARS,
        lambda out, raw: out.with_columns(raw["Reported"].str.to_date("%Y-%m-%d").cast(pl.Int32).alias("reported")),
        "reported",
        "canary",
    ),
    "days from anchor": (YEARS, instead("reported", "Reported"), "reported", "pattern-date"),
    "shift, by nothing": (
        SHIFTS,
        lambda out, raw: out.with_columns(raw["Reported"].str.to_date("%Y-%m-%d").alias("reported")),
        "reported",
        "canary",
    ),
    "shift, with the time": (
        SHIFTS,
        lambda out, raw: out.with_columns(raw["Taken"].str.to_datetime("%Y-%m-%d %H:%M").alias("taken")),
        "taken",
        "misshapen",
    ),
    "generalize, age": (YEARS, lambda out, raw: out.with_columns(age=raw["Age"]), "age", "misshapen"),
    "generalize, bins": (YEARS, instead("size_mm", "Size mm"), "size_mm", "misshapen"),
    "zip3": (YEARS, instead("zip", "Zip"), "zip", "misshapen"),
    "zip3, restricted": (YEARS, lambda out, raw: out.with_columns(zip=pl.lit("036")), "zip", "misshapen"),
    "extract": (YEARS, instead("gleason_score", "Diagnosis"), "gleason_score", "misshapen"),
    "scrub": (YEARS, instead("note", "Note"), "note", "canary"),
    "scrub, somebody's number": (YEARS, lambda out, raw: out.with_columns(note="see " + raw["MRN"]), "note", "id"),
    "row": (YEARS, lambda out, raw: out.with_columns(row=raw["MRN"].cast(pl.Int64, strict=False)), "row", "canary-lost"),
    "a list": (YEARS, lambda out, raw: out.with_columns(raw["Name"].str.split(" ").alias("race")), "race", "misshapen"),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_caught(leak: str) -> None:
    contract, sabotage, column, kind = LEAKS[leak]
    assert (column, kind) in {(finding.column, finding.kind) for finding in findings(contract, sabotage)}


def test_a_leak_in_a_single_cell_is_caught() -> None:
    def leak(out: pl.DataFrame, raw: pl.DataFrame) -> pl.DataFrame:
        return out.with_columns(note=pl.when(pl.col("row") == 7).then(pl.lit("Dr Person5son asks")).otherwise("note"))

    assert findings(YEARS, leak) == (Finding("years", "note", "name", 1),)


def test_findings_never_hold_a_value() -> None:
    told = repr([findings(contract, sabotage) for contract, sabotage, _, _ in LEAKS.values()])
    assert not any(
        cell in told for cell in [*PATIENT.values(), "Smithers", "471100", "Person1son"] if cell and len(cell) > 3 and cell != "White"
    )


@pytest.mark.parametrize("name", ["White", "Black"])
def test_a_word_of_the_vocabulary_is_no_name(name: str) -> None:
    rows, contract = table([Column(name="Race", action="keep", vocabulary=("White", "Black"))], {"Race": "White"}, {"Race": "Black"})
    out = transform(rows, contract, keys_for(rows, contract), TODAY)
    somebody = Identifiers.from_values([(Identifies.NAME, name)])
    assert audit({"small": out}, somebody, {"small": contract}) == ()
    assert audit({"small": out}, somebody) == (Finding("small", "race", "name", 1),)


def test_without_a_contract_everything_is_searched() -> None:
    found = {(finding.column, finding.kind) for finding in findings(YEARS, instead("race", "Name"), judged=False)}
    assert {("race", "name"), ("race", "canary")} <= found


PATTERNS = {
    "pattern-ssn": "number 219-09-9999 on file",
    "pattern-phone": "call 201-555-0123 or +49 30 1234567",
    "pattern-email": "write to jane@mail.example",
    "pattern-labelled-number": "MRN: 1234567",
    "pattern-account": "paid with 4111 1111 1111 1111",
    "pattern-date": "on May 3rd, 2021",
}


@pytest.mark.parametrize(
    ("kind", "text"), [*PATTERNS.items(), ("pattern-account", "DE89 3704 0044 0532 0130 00"), ("pattern-date", "3.5.21")]
)
def test_what_looks_like_an_identifier_is_found(kind: str, text: str) -> None:
    output = pl.DataFrame({"note": [text, None, "benign"]})
    assert Finding("notes", "note", kind, 1) in audit({"notes": output}, Identifiers.from_values([]))


@pytest.mark.parametrize(
    "text",
    [
        "Gleason 3+4=7",
        "1.2 x 0.8-1.5 cm",
        "Ki-67 20-25%",
        "12 of 30 nodes",
        "block A1 to A12, 2021",
        "card 4111 1111 1111 1112",
        "[date] [name]",
    ],
)
def test_what_pathologists_measure_is_no_pattern(text: str) -> None:
    assert audit({"notes": pl.DataFrame({"note": [text]})}, Identifiers.from_values([])) == ()


def test_a_date_column_that_nobody_expects_is_found() -> None:
    out = pl.DataFrame({"seen": [date(2023, 5, 17)]})
    assert audit({"x": out}, Identifiers.from_values([])) == (Finding("x", "seen", "pattern-date", 1),)


def test_a_search_that_sees_nothing_is_a_finding() -> None:
    planted, canary = plant(rows_of({}), YEARS)
    out = transform(planted, YEARS, keys_for(rows_of({}), YEARS).with_canary(canary), TODAY, hide_names)
    blind = replace(Identifiers.from_values([]), canaries=(canary,))
    assert {finding.kind for finding in audit({"years": out}, blind, {"years": YEARS})} == {"blind"}


def test_canaries_that_got_lost_are_a_finding() -> None:
    assert findings(YEARS, lambda out, raw: remove(out)) == (Finding("years", "row", "canary-lost", CANARIES),)


@pytest.mark.parametrize("contract", [YEARS, SHIFTS])
def test_canaries_leave_no_trace(contract: Contract) -> None:
    planted, canary = plant(rows_of(*MANY), contract)
    keys = keys_for(rows_of(*MANY), contract)
    assert planted.head(len(MANY)).equals(rows_of(*MANY))
    assert planted.height == len(MANY) + CANARIES
    with_canary = remove(transform(planted, contract, keys.with_canary(canary), TODAY, hide_names))
    assert with_canary.equals(transform(rows_of(*MANY), contract, keys, TODAY, hide_names))


def test_canaries_are_new_each_time_and_show_nothing() -> None:
    first, second = plant(rows_of({}), YEARS)[1], plant(rows_of({}), YEARS)[1]
    assert not {value for _, value in first.values} & {value for _, value in second.values}
    assert repr(first) == "<CanaryValues: 3 rows of years>"


@pytest.mark.parametrize("style", ["%F", "%-d.%-m.%Y", "%Y%m%d", "%B %d, %Y"])
def test_canaries_are_read_in_every_format_of_dates(style: str) -> None:
    columns = [
        Column(name=name, identifies=kind, type="date", format=style, action="shift") for name, kind in (("B", "birth-date"), ("D", "date"))
    ]
    rows, contract = table(columns)
    planted, canary = plant(rows, contract)
    out = transform(planted, contract, keys_for(rows, contract).with_canary(canary), TODAY)
    assert out["d"].null_count() == 0
    assert audit({"small": out}, Identifiers.from_rows(rows, contract).with_canary(canary), {"small": contract}) == ()


def test_the_numbers_of_canaries_do_not_replace_those_of_patients() -> None:
    _, canary = plant(rows_of({}), YEARS)
    keys = keys_for(rows_of({}), YEARS)
    grown = keys.with_canary(canary)
    for domain in Domain:
        assert told(grown.numbers[domain]).items() >= told(keys.numbers[domain]).items()
        assert len(told(grown.numbers[domain])) == 1 + CANARIES
