"""Canaries: rows of made-up people that run with the real ones and are taken out again, so that every run proves that the audit sees.

Their identities are random, drawn anew each time, and like nobody's: names of letters that no language puts together, dates of the
nineteenth century or before. They are planted after the rules were checked, so cells fit what is parsed (types, formats, vocabularies,
bounds of kept columns), not the regular expressions of identifiers. Their numbers come from here, never from the linking table.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count

import polars as pl

from slidekeeper.model.contract import TIMES, Action, Column, Contract, Dialect, Domain, Identifies, ValueType
from slidekeeper.ports.tables import LINE
from slidekeeper.steps.records.folding import compact, folded
from slidekeeper.steps.records.identifiers import NOT_SEARCHED

CANARIES = 3
"""Rows for each source."""
CONSONANTS = "bdfghkqvwxz"
OLD_ENOUGH = "97"
APART = 20
"""All canaries' dates lie a multiple of so many days apart and are shifted by fewer, so that no offset turns one into another."""
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, repr=False)
class CanaryValues:
    """The canaries of one source. Made up, but treated as if they were somebody's."""

    source: str
    lines: tuple[int, ...]
    """Their lines; negative, as no line of a file is."""
    values: tuple[tuple[Identifies, str], ...]
    """Cells of identifying and dropped columns, for the audit and the scrubber to know."""
    secrets: frozenset[str]
    """Folded spellings, none of which may stand in the canaries' own output."""
    numbers: Mapping[Domain, Mapping[str, str]]
    offsets: Mapping[str, int]

    def __repr__(self) -> str:
        return f"<CanaryValues: {len(self.lines)} rows of {self.source}>"


def plant(rows: pl.DataFrame, contract: Contract) -> tuple[pl.DataFrame, CanaryValues]:
    """Return the raw rows with canaries behind them, and what is secret about those.

    ``Keys.with_canary`` and ``Identifiers.with_canary`` make both known; :func:`remove` takes the rows out of the output.
    """
    lines = tuple(-number for number in range(1, CANARIES + 1))
    days = count(-45_000 - secrets.randbelow(4_000), APART)
    people = [_person(contract, days) for _ in lines]
    cells = pl.DataFrame({LINE: lines} | {column.name: [person[column.name] for person in people] for column in contract.columns})
    planted = pl.concat([rows, cells.select(pl.col(name).cast(dtype) for name, dtype in rows.schema.items())])
    return planted, _values(contract, lines, people)


def remove(output: pl.DataFrame) -> pl.DataFrame:
    """The output without canaries."""
    return output.filter(pl.col("row") > 0)


def _values(contract: Contract, lines: tuple[int, ...], people: list[dict[str, str]]) -> CanaryValues:
    """What is secret about some people, and the numbers that replace it."""
    hidden = [(column, person[column.name]) for person in people for column in contract.columns if _is_hidden(column)]
    numbers = {
        domain: {person[column.name]: _digits(12) for person in people} for domain in Domain if (column := contract.of_domain(domain))
    }
    return CanaryValues(
        source=contract.source,
        lines=lines,
        values=tuple((_kind(column), value) for column, value in hidden if _kind(column) not in NOT_SEARCHED),
        secrets=frozenset(compact(folded(pl.Series([secret for each in hidden for secret in _secrets(*each)], dtype=pl.String))).to_list()),
        numbers=numbers,
        offsets={number: 1 + secrets.randbelow(APART - 1) for number in numbers.get(Domain.PATIENT, {}).values()},
    )


def _is_hidden(column: Column) -> bool:
    """Whether the column's cells are unmistakable and must not come out."""
    if column.identifies is Identifies.AGE or column.type is ValueType.BOOLEAN:
        return False
    return column.identifies is not Identifies.NOT or column.action in {Action.DROP, Action.EXTRACT}


def _kind(column: Column) -> Identifies:
    """How a canary's cell identifies; what is merely dropped counts as well."""
    return Identifies.OTHER if column.identifies is Identifies.NOT and column.action is Action.DROP else column.identifies


def _secrets(column: Column, value: str) -> Iterator[str]:
    """Everything that gives a cell away."""
    if column.type in TIMES:
        yield from _secrets_of_day(column, value)
    elif column.action is Action.EXTRACT or column.identifies is Identifies.FREE_TEXT:
        yield value.split(" ", 1)[0]
    else:
        yield value


def _secrets_of_day(column: Column, value: str) -> Iterator[str]:
    """A day in the spellings of machines; the year of a birth that nobody may know."""
    day = pl.Series([value]).str.to_date(column.format).to_list()[0]
    yield from (value, day.isoformat(), f"{day:%Y%m%d}", f"{day:%d%m%Y}", f"{day:%m%d%Y}")
    days = (day - EPOCH).days
    yield from (str(days), str(days * 86_400), str(days * 86_400_000))
    if column.identifies is Identifies.BIRTH_DATE:
        yield str(day.year)


def _person(contract: Contract, days: Iterator[int]) -> dict[str, str]:
    """One made-up row, its dates at the next of some days since the epoch; births are a generation earlier."""
    name = _word()
    person = {}
    for column in contract.columns:
        day = EPOCH + timedelta(days=next(days))
        born = day - timedelta(days=500 * APART)
        person[column.name] = _cell(column, contract.dialect, born if column.identifies is Identifies.BIRTH_DATE else day, name)
    return person


def _cell(column: Column, dialect: Dialect, day: date, name: str) -> str:
    """One made-up cell."""
    if column.type in TIMES:
        return _written(day, column)
    if column.identifies is Identifies.AGE:
        return OLD_ENOUGH
    if column.type is ValueType.BOOLEAN:
        return secrets.choice(("true", "false"))
    if column.identifies is Identifies.NOT and column.action in {Action.KEEP, Action.GENERALIZE}:
        return secrets.choice(column.vocabulary) if column.vocabulary else _bounded(column, dialect)
    if column.type is not ValueType.TEXT:
        return f"{1 + secrets.randbelow(9)}{_digits(9)}"
    return _text(column, name)


def _text(column: Column, name: str) -> str:
    """A made-up identifier."""
    written = {
        Identifies.ZIP: f"{_digits(5)}-{_digits(4)}",
        Identifies.PHONE: f"555-{_digits(3)}-{_digits(4)}",
        Identifies.EMAIL: f"{_word()}@{_word()}.example",
        Identifies.DATE: _long_ago(),
        Identifies.BIRTH_DATE: _long_ago(),
        Identifies.NAME: name,
        Identifies.FREE_TEXT: f"{name} was seen; Gleason 3+4=7, pT2 N0, R0, stage II.",
    }
    return written.get(column.identifies) or f"{_word()}-{_digits(9)}"


def _long_ago() -> str:
    """A day before 1834, as text."""
    return (EPOCH - timedelta(days=50_000 + secrets.randbelow(10_000))).isoformat()


def _written(day: date, column: Column) -> str:
    """The day in the column's format, with any time."""
    moment = time(secrets.randbelow(24), secrets.randbelow(60), secrets.randbelow(60))
    return datetime.combine(day, moment).strftime(column.format)


def _bounded(column: Column, dialect: Dialect) -> str:
    """A number that a kept or classed column accepts."""
    number = column.minimum if column.minimum is not None else min(1.0, column.maximum if column.maximum is not None else 1.0)
    return str(int(number)) if column.type is ValueType.INTEGER else str(number).replace(".", dialect.decimal)


def _word() -> str:
    """A word of letters that no language puts together."""
    return "Zq" + "".join(secrets.choice(CONSONANTS) for _ in range(10))


def _digits(count: int) -> str:
    """Random digits."""
    return "".join(str(secrets.randbelow(10)) for _ in range(count))
