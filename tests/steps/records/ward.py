"""A small hospital for tests: one contract that uses every action, rows that it accepts, and the numbers for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from slidekeeper.model.contract import Column, Contract, Domain, Profile
from slidekeeper.steps.records.keys import Answers, Keys

TODAY = date(2026, 11, 24)
COLORS = ("White", "Black", "Asian", "Other")

COMMON = (
    Column(name="File", identifies="file-name", action="pseudonymize", domain="slide"),
    Column(name="Accession No", identifies="id", action="pseudonymize", domain="case"),
    Column(name="MRN", identifies="id", action="pseudonymize", domain="patient"),
    Column(name="Name", identifies="name"),
    Column(name="Street", identifies="address"),
    Column(name="Phone", identifies="phone"),
    Column(name="Mail", identifies="email"),
    Column(name="Race", action="keep", vocabulary=COLORS),
    Column(name="Blocks", type="integer", action="keep"),
    Column(name="PSA", type="decimal", action="keep"),
    Column(name="Smoker", type="boolean", action="keep"),
    Column(name="Age", identifies="age", type="integer", action="generalize"),
    Column(name="Size mm", type="decimal", action="generalize", bins=(10, 20, 50)),
    Column(name="Zip", identifies="zip", action="zip3"),
    Column(name="Diagnosis", identifies="free-text", action="extract", grammar="gleason", output="gleason"),
    Column(name="Note", identifies="free-text", action="scrub"),
    Column(name="Remark", identifies="free-text"),
)
TIMED = (
    Column(name="Born", identifies="birth-date", type="date", format="%d.%m.%Y", action="year"),
    Column(name="Taken", identifies="date", type="datetime", format="%Y-%m-%d %H:%M", action="year"),
    Column(name="Reported", identifies="date", type="date", format="%Y-%m-%d", action="days_from_anchor", anchor="Taken"),
)
SHIFTED = (
    Column(name="Born", identifies="birth-date", type="date", format="%d.%m.%Y", action="shift"),
    Column(name="Taken", identifies="date", type="datetime", format="%Y-%m-%d %H:%M", action="shift"),
    Column(name="Reported", identifies="date", type="date", format="%Y-%m-%d", action="shift"),
)
YEARS = Contract(source="years", version=1, files=("*.csv",), columns=(*COMMON, *TIMED))
SHIFTS = Contract(source="shifts", version=1, files=("*.csv",), profile=Profile.EXPERT_DETERMINATION, columns=(*COMMON, *SHIFTED))

PATIENT = {
    "File": "S24-0012345_A1.svs",
    "Accession No": "S24-0012345",
    "MRN": "0047110815",
    "Name": "Łukasz O'Brien-Müller",
    "Street": "784 Stamm Lock Unit 46",
    "Phone": "(201) 555-0123",
    "Mail": "l.obrien@mail.example",
    "Race": "White",
    "Blocks": "12",
    "PSA": "7.25",
    "Smoker": "no",
    "Age": "61",
    "Size mm": "10",
    "Zip": "02155-1234",
    "Diagnosis": "Mr O'Brien-Müller: adenocarcinoma, Gleason 3+4=7",
    "Note": "Łukasz came by himself.",
    "Remark": "brother works in the canteen",
    "Born": "02.03.1962",
    "Taken": "2023-05-17 14:05",
    "Reported": "2023-05-29",
}


def rows_of(*patients: Mapping[str, str | None]) -> pl.DataFrame:
    """A raw table; each row is :data:`PATIENT` with some cells changed."""
    cells = [PATIENT | patient for patient in patients]
    columns = {name: pl.Series([row[name] for row in cells], dtype=pl.String) for name in PATIENT}
    return pl.DataFrame({"line": pl.Series(range(2, len(cells) + 2), dtype=pl.Int64), **columns})


def table(columns: Sequence[Column], *rows: Mapping[str, str | None]) -> tuple[pl.DataFrame, Contract]:
    """A contract of a slide, a patient and some columns, and rows for it; slides and patients are named by position if not by the row."""
    slide = Column(name="File", identifies="file-name", action="pseudonymize", domain="slide")
    patient = Column(name="MRN", identifies="id", action="pseudonymize", domain="patient")
    contract = Contract(source="small", version=1, files=("*",), profile=Profile.EXPERT_DETERMINATION, columns=(slide, patient, *columns))
    cells = [{"File": f"slide-{place}.svs", "MRN": f"mrn-{place}"} | dict(row) for place, row in enumerate(rows)]
    named = {column.name: pl.Series([row.get(column.name) for row in cells], dtype=pl.String) for column in contract.columns}
    return pl.DataFrame({"line": pl.Series(range(2, len(cells) + 2), dtype=pl.Int64), **named}), contract


def keys_for(rows: pl.DataFrame, contract: Contract, offset: int = 17) -> Keys:
    """Numbers for every identifier that occurs, and one offset more for each patient."""
    numbers: dict[Domain, dict[str, str]] = {}
    for place, domain in enumerate(Domain, start=1):
        if column := contract.of_domain(domain):
            distinct = rows[column.name].drop_nulls().unique(maintain_order=True)
            numbers[domain] = {raw: f"{place}{index:011}" for index, raw in enumerate(distinct)}
    offsets = {number: offset + place for place, number in enumerate(numbers.get(Domain.PATIENT, {}).values())}
    return Keys.of(numbers, offsets)


def told(answers: Answers) -> dict[str, Any]:
    """Answers by what was asked."""
    return dict(zip(answers.asked, answers.answered, strict=True))


def hide_names(texts: pl.Series, _: pl.Series | None) -> pl.Series:
    """A scrubber that knows the ward's name, and those of canaries."""
    return texts.str.replace_all(r"Łukasz|Zq\w+", "[name]")
