"""What becomes of a source's rows: identifiers become numbers, dates become years or distances, the rest is kept, coarsened or dropped.

Pure and columnwise: whole columns at once, no cell by itself. What is not named by the contract does not come out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import date
from typing import TypeAlias

import polars as pl

from slidekeeper.errors import Permanent, Refused
from slidekeeper.model.contract import Action, Column, Contract, Domain, Identifies, ValueType
from slidekeeper.ports.tables import LINE
from slidekeeper.steps.records.generalizing import generalized
from slidekeeper.steps.records.grammars import extract, grammar_of
from slidekeeper.steps.records.keys import Keys
from slidekeeper.steps.records.oldest import AGES, may_be_oldest
from slidekeeper.steps.records.typed_cells import day, typed
from slidekeeper.steps.records.zip3 import zip3

ROW = "row"
"""Output column: the line of the file on which the row began."""

OF_CONTRACT = ("contract", "contract_version")
"""Columns of the stored file behind all others: the digest (String) and the version (Int32) of the contract that was applied."""

Scrub: TypeAlias = Callable[[pl.Series, pl.Series | None], pl.Series]
"""``(texts, patients)`` to texts without identifiers, same length. ``patients``: raw cells of the patient column, when there is one."""

NOT_WRITTEN = frozenset({Action.DROP, Action.PSEUDONYMIZE})
"""Columns that do not come out as themselves."""

_OFFSET, _OLDEST, _PATIENT = "\0offset", "\0oldest", "\0patient"
"""Columns beside the raw ones; no header can hold these names."""


def transform(
    rows: pl.DataFrame,
    contract: Contract,
    keys: Keys,
    today: date,
    scrub: Scrub | None = None,
    oldest: Collection[str] = (),
) -> pl.DataFrame:
    """Return the rows as they may leave the hospital, in their order.

    Args:
        rows: ``line`` (Int64) and the contract's columns (String), as :class:`~slidekeeper.ports.tables.RawTable` has them; those that
            are not among :func:`needed_columns` may be missing.
        contract: says what becomes of each column.
        keys: numbers for every identifier that occurs, offsets for every patient whose dates are shifted.
        today: the day on which ages are judged.
        scrub: removes identifiers from free text; without it, columns to scrub are dropped.
        oldest: numbers of patients whom other sources of the batch know to be 90 or older; see :func:`oldest_patients`.

    Returns:
        ``row`` (Int64); ``slide_number``, ``case_number``, ``patient_number`` (String), as far as the contract has them; then the other
        columns in the contract's order: kept ones typed, years and days Int32, classes, ZIP prefixes and vocabulary words String.
        Shifted dates and times are Dates: the time of day, exact to the minute, would find the visit again in any other system.
        Dates of a row whose patient is not named cannot be shifted, and are null.

    Raises:
        Permanent: ``missing-number``, ``missing-offset`` or ``zero-offset``: ``keys`` do not fit the rows; ``scrub-broken``.
        Refused: ``output-collision``, the contract gives two results one name.
    """
    output_columns(contract, scrubbing=scrub is not None)
    numbers = [_numbers(rows, contract, keys, domain).alias(f"{domain}_number") for domain in Domain if contract.of_domain(domain)]
    parts = [pl.DataFrame([rows[LINE].alias(ROW), *numbers])]
    helpers = _helpers(rows, contract, keys, today, parts[0], oldest)
    for column in contract.columns:
        if column.action in NOT_WRITTEN:
            continue
        # Narrow frames: a wide one would be copied whole whenever a column joins it.
        raw = pl.DataFrame([rows[name] for name in dict.fromkeys((column.name, column.anchor or column.name))])
        parts += _outcome(pl.concat([raw, helpers], how="horizontal"), column, contract, scrub)
    return pl.concat(parts, how="horizontal")


def needed_columns(contract: Contract) -> tuple[str, ...]:
    """Columns that :func:`transform` looks at: those that come out, and dropped ones that tell an age or from which days are counted."""
    anchors = {column.anchor for column in contract.columns}
    needed = (each for each in contract.columns if each.action is not Action.DROP or each.name in anchors or each.identifies in AGES)
    return (LINE, *(column.name for column in needed))


def output_columns(contract: Contract, *, scrubbing: bool) -> tuple[str, ...]:
    """Names of the columns that are stored, in order.

    Raises:
        Refused: ``output-collision``, two of them are the same.
    """
    domains = [f"{domain}_number" for domain in Domain if contract.of_domain(domain)]
    names = [ROW, *domains, *(name for column in contract.columns for name in _names(column, scrubbing)), *OF_CONTRACT]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise Refused("output-collision", f"contract {contract.source}: {twice[0]} would come out twice", "Give the columns an output.")
    return tuple(names)


def under(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that came out, with what they came out by: :data:`OF_CONTRACT`."""
    digest, version = OF_CONTRACT
    return rows.with_columns(pl.lit(contract.digest).alias(digest), pl.lit(contract.version, pl.Int32).alias(version))


def oldest_patients(rows: pl.DataFrame, contract: Contract, keys: Keys, today: date) -> frozenset[str]:
    """Numbers of the patients whom these rows show to be, or perhaps to be, 90 or older: for the other sources of the batch."""
    if contract.of_domain(Domain.PATIENT) is None:
        return frozenset()
    old = rows.filter(may_be_oldest(contract, today))
    return frozenset(_numbers(old, contract, keys, Domain.PATIENT).drop_nulls().unique().to_list())


def _names(column: Column, scrubbing: bool) -> Iterator[str]:
    """Output columns that one column becomes, beside numbers."""
    if column.action is Action.EXTRACT:
        yield from (f"{column.output_name}_{part.name}" for part in grammar_of(column.grammar).parts)
    elif column.action not in NOT_WRITTEN and (scrubbing or column.action is not Action.SCRUB):
        yield column.output_name


def _helpers(
    rows: pl.DataFrame, contract: Contract, keys: Keys, today: date, numbers: pl.DataFrame, oldest: Collection[str]
) -> pl.DataFrame:
    """For each row the patient's raw cell, the offset of its dates, and whether its patient's birth year must be hidden."""
    old = rows.select(may_be_oldest(contract, today)).to_series().alias(_OLDEST)
    patient = contract.of_domain(Domain.PATIENT)
    if patient is None:
        return pl.DataFrame([old]).with_columns(pl.lit(None, pl.Int64).alias(_OFFSET), pl.lit(None, pl.String).alias(_PATIENT))
    who = numbers[f"{Domain.PATIENT}_number"]
    known = pl.concat([who.filter(old).alias(""), pl.Series(list(oldest), dtype=pl.String)]).drop_nulls().unique()
    old = (old | who.is_in(known.implode()).fill_null(False)).alias(_OLDEST)
    return pl.DataFrame([old, _offsets(who, contract, keys), rows[patient.name].alias(_PATIENT)])


def _numbers(rows: pl.DataFrame, contract: Contract, keys: Keys, domain: Domain) -> pl.Series:
    """Number of each row's slide, case or patient; null where the cell is empty."""
    column = contract.of_domain(domain)
    raw = rows[column.name] if column else pl.Series(dtype=pl.String)
    found = keys.numbers_of(domain, raw)
    if missing := int((raw.is_not_null() & found.is_null()).sum()):
        raise Permanent("missing-number", f"{missing} rows of {contract.source} name a {domain} that has no number")
    return found


def _offsets(patients: pl.Series, contract: Contract, keys: Keys) -> pl.Series:
    """Days by which each row's dates move; null where no date is shifted or the patient is not named."""
    if not any(column.action is Action.SHIFT for column in contract.columns):
        return pl.repeat(None, len(patients), dtype=pl.Int64, eager=True).alias(_OFFSET)
    offsets = keys.offsets.to(patients)
    if missing := int((patients.is_not_null() & offsets.is_null()).sum()):
        raise Permanent("missing-offset", f"{missing} rows of {contract.source} are of patients without an offset")
    if bool((offsets == 0).any()):
        raise Permanent("zero-offset", f"dates of {contract.source} would come out unchanged")
    return offsets.alias(_OFFSET)


def _outcome(frame: pl.DataFrame, column: Column, contract: Contract, scrub: Scrub | None) -> Iterator[pl.DataFrame]:
    """What one column becomes: a frame of no, one or several columns."""
    match column.action:
        case Action.EXTRACT:
            found = extract(grammar_of(column.grammar), frame[column.name])
            yield found.rename(lambda part: f"{column.output_name}_{part}")
        case Action.SCRUB:
            if scrub is not None:
                patients = frame[_PATIENT] if contract.of_domain(Domain.PATIENT) else None
                yield _scrubbed(frame[column.name], patients, column, scrub)
        case _:
            yield frame.select(_expression(column, contract).alias(column.output_name))


def _expression(column: Column, contract: Contract) -> pl.Expr:
    """How a column's cells are computed from the working frame."""
    match column.action:
        case Action.YEAR:
            return _unless_oldest(column, day(column).dt.year().cast(pl.Int32))
        case Action.SHIFT:
            moved = day(column) + pl.duration(days=pl.col(_OFFSET))
            return _unless_oldest(column, moved.cast(pl.Date))
        case Action.DAYS_FROM_ANCHOR:
            return (day(column) - day(contract.column(column.anchor))).dt.total_days().cast(pl.Int32)
        case Action.GENERALIZE:
            return generalized(column, contract.dialect)
        case Action.ZIP3:
            return zip3(pl.col(column.name))
        case _:
            return _kept(column, contract)


def _kept(column: Column, contract: Contract) -> pl.Expr:
    """Typed cells, and of text nothing but the vocabulary's words."""
    cells = typed(column, contract.dialect)
    if column.vocabulary or column.type is ValueType.TEXT:
        return pl.when(pl.col(column.name).is_in(column.vocabulary)).then(cells)
    return cells


def _unless_oldest(column: Column, cells: pl.Expr) -> pl.Expr:
    """Nothing of a birth date for the oldest; other dates as they are."""
    return pl.when(~pl.col(_OLDEST)).then(cells) if column.identifies is Identifies.BIRTH_DATE else cells


def _scrubbed(cells: pl.Series, patients: pl.Series | None, column: Column, scrub: Scrub) -> pl.DataFrame:
    """Free text after the scrubber."""
    texts = scrub(cells, patients)
    if len(texts) != len(cells) or texts.dtype != pl.String:
        raise Permanent("scrub-broken", f"column {column.name} came back from scrubbing with another length or type")
    return texts.alias(column.output_name).to_frame()
