"""The contract's rules on rows: which ones come through, and which faults the others have, told by line, column and code.

Pure. Cells are judged exactly as they stand in the file; nothing is trimmed, guessed or repaired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from slidekeeper.model.contract import NUMBERS, TIMES, TRUTHS, Column, Contract, Identifies, ValueType
from slidekeeper.ports.tables import LINE
from slidekeeper.steps.records.excel import is_damaged

REJECTS = pl.Schema({"line": pl.Int64, "column": pl.String, "code": pl.String})
"""Of a table of rejects; no cell of any row."""

FIRST_DAY, LAST_DAY = date(1900, 1, 2), date(2199, 12, 31)
"""What lies outside is no day of a patient but a placeholder (1900-01-01, 9999-12-31), which would reveal by how much it is shifted."""

INTEGER = r"^[+-]?[0-9]{1,18}$"
DECIMAL = r"^[+-]?[0-9]{1,15}(?:%s[0-9]{1,15})?$"
DUPLICATE = "duplicate-row"
IDENTIFIERS = frozenset({Identifies.ID, Identifies.FILE_NAME})


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a cell of one column can be wrong."""

    column: str
    code: str
    cells: pl.Expr
    """Boolean: which rows have it; null counts as no."""


def check_rules(rows: pl.DataFrame, contract: Contract) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sort rows out by the contract's rules.

    Args:
        rows: as :class:`slidekeeper.ports.tables.RawTable` holds them.
        contract: whose columns they have.

    Returns:
        The rows without fault, unchanged, and the faults of the others as :data:`REJECTS`, by line and then by column: a row with
        several faults is there several times.
    """
    faults = [fault for column in contract.columns for fault in _faults(column, contract)]
    masks = rows.select(fault.cells.fill_null(value=False).alias(str(index)) for index, fault in enumerate(faults))
    masks = masks.with_columns(_duplicates(rows, contract).alias(DUPLICATE))
    bad = masks.select(pl.any_horizontal(pl.all())).to_series()
    kinds = {**{str(index): (fault.column, fault.code) for index, fault in enumerate(faults)}, DUPLICATE: ("", DUPLICATE)}
    return only(rows, ~bad), _rejects(rows[LINE].filter(bad), masks.filter(bad), kinds)


def only(rows: pl.DataFrame, chosen: pl.Series) -> pl.DataFrame:
    """The chosen rows; all of them without a copy, which is what nearly every file comes to."""
    return rows if chosen.all() else rows.filter(chosen)


def _rejects(lines: pl.Series, masks: pl.DataFrame, kinds: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    """One row for each fault."""
    found = [
        pl.DataFrame({LINE: lines.filter(masks[name])}).with_columns(column=pl.lit(column), code=pl.lit(code))
        for name, (column, code) in kinds.items()
        if masks[name].any()
    ]
    return pl.concat([pl.DataFrame(schema=REJECTS), *found]).sort(LINE, maintain_order=True)


def _faults(column: Column, contract: Contract) -> Iterator[Fault]:
    """What may be wrong with a column's cells. An empty cell has no fault but being empty."""
    cell = pl.col(column.name)
    if column.required:
        yield Fault(column.name, "missing-value", cell.is_null() | (cell.str.strip_chars() == ""))
    yield from (Fault(column.name, code, cells) for code, cells in _type_faults(column, cell, contract.dialect.decimal))
    damaged = is_damaged(cell, column.regex) if column.identifies in IDENTIFIERS else pl.lit(value=False)
    if column.identifies in IDENTIFIERS:
        yield Fault(column.name, "excel-damage", damaged)
    if column.regex:
        yield Fault(column.name, "not-matching", ~matches(cell, column.regex) & ~damaged)
    if column.vocabulary:
        yield Fault(column.name, "not-in-vocabulary", ~cell.is_in(list(column.vocabulary)))


def matches(cell: pl.Expr, regex: str) -> pl.Expr:
    """Whether the expression matches the whole cell."""
    return cell.str.contains(rf"^(?:{regex})$", literal=False)


def _type_faults(column: Column, cell: pl.Expr, decimal: str) -> Iterator[tuple[str, pl.Expr]]:
    if column.type in TIMES:
        yield from _date_faults(column, cell)
    elif column.type in NUMBERS:
        yield from _number_faults(column, cell, decimal)
    elif column.type is ValueType.BOOLEAN:
        yield "not-a-boolean", ~cell.str.to_lowercase().is_in(list(TRUTHS))


def _date_faults(column: Column, cell: pl.Expr) -> Iterator[tuple[str, pl.Expr]]:
    """A date is one when writing it again gives the same text: ``1.2.24`` is not of ``%d.%m.%Y``, nor is 30 February."""
    kind = pl.Date if column.type is ValueType.DATE else pl.Datetime("ms")
    moment = cell.str.strptime(kind, column.format, strict=False)
    written = moment.dt.strftime(column.format).str.to_lowercase()
    sound = written.eq_missing(cell.str.to_lowercase())
    yield "not-a-date", cell.is_not_null() & ~sound
    yield "out-of-range", sound & ~moment.cast(pl.Date).is_between(FIRST_DAY, LAST_DAY)


def _number_faults(column: Column, cell: pl.Expr, decimal: str) -> Iterator[tuple[str, pl.Expr]]:
    whole = column.type is ValueType.INTEGER
    sound = cell.str.contains(INTEGER if whole else DECIMAL % rf"\{decimal}")
    yield "not-an-integer" if whole else "not-a-number", ~sound
    number = cell.str.replace(decimal, ".", literal=True).cast(pl.Float64, strict=False)
    limits = [number < column.minimum] if column.minimum is not None else []
    limits += [number > column.maximum] if column.maximum is not None else []
    if limits:
        yield "out-of-range", sound & pl.any_horizontal(limits)


def _duplicates(rows: pl.DataFrame, contract: Contract) -> pl.Series:
    """Which rows are identical in every cell to an earlier one. Hashes find the few that may be, cells decide."""
    names = [column.name for column in contract.columns]
    hashed = rows.select(names).hash_rows()
    suspect = hashed.is_duplicated()
    if not suspect.any():
        return suspect
    first = rows.select(names).filter(suspect).select(~pl.struct(names).is_first_distinct()).to_series()
    marks = pl.Series([False]).new_from_index(0, rows.height)
    return marks.scatter(suspect.arg_true(), first)
