"""Cells are text; here they become numbers, truths and dates, as the contract says they are written. What cannot be read is null."""

from __future__ import annotations

import polars as pl

from slidekeeper.model.contract import TIMES, Column, Dialect, Identifies, ValueType

TRUE = ("true", "t", "yes", "y", "1", "ja", "j")
FALSE = ("false", "f", "no", "n", "0", "nein")
DECIMAL_TEXT = r"^[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?$"


def typed(column: Column, dialect: Dialect) -> pl.Expr:
    """Return the column's cells as Int64, Float64, Boolean, Date or, for text, String as it stands."""
    text = pl.col(column.name)
    match column.type:
        case ValueType.INTEGER:
            return text.str.strip_chars().cast(pl.Int64, strict=False)
        case ValueType.DECIMAL:
            return decimal(text, dialect)
        case ValueType.BOOLEAN:
            return boolean(text)
        case ValueType.DATE | ValueType.DATETIME:
            return day(column)
        case ValueType.TEXT:
            return text


def decimal(text: pl.Expr, dialect: Dialect) -> pl.Expr:
    """Float64; thousands may not be grouped, and words such as ``nan`` and ``inf`` are no numbers."""
    plain = text.str.strip_chars()
    if dialect.decimal != ".":
        plain = pl.when(~plain.str.contains(".", literal=True)).then(plain.str.replace(dialect.decimal, ".", literal=True))
    return pl.when(plain.str.contains(DECIMAL_TEXT)).then(plain).cast(pl.Float64, strict=False)


def boolean(text: pl.Expr) -> pl.Expr:
    """Boolean from the usual words, without regard to case."""
    word = text.str.strip_chars().str.to_lowercase()
    return pl.when(word.is_in(TRUE)).then(pl.lit(True)).when(word.is_in(FALSE)).then(pl.lit(False))


def day(column: Column) -> pl.Expr:
    """Date of a date or datetime column; the time of day is left behind.

    A birth date with a two-digit year cannot lie in the future: such a year belongs to the century before. Which "future" is judged
    by the caller, who knows the day; see :func:`birth_day`.
    """
    if column.type not in TIMES:
        return pl.lit(None, dtype=pl.Date)
    return pl.col(column.name).str.strip_chars().str.to_date(column.format, strict=False)


def birth_day(column: Column, today: pl.Expr) -> pl.Expr:
    """Date of birth; one after ``today`` with a two-digit year was a century earlier."""
    born = day(column)
    if not short_year(column):
        return born
    return pl.when(born > today).then(born.dt.offset_by("-100y")).otherwise(born)


def short_year(column: Column) -> bool:
    """Whether the column's dates have two-digit years."""
    return "%y" in column.format or "%D" in column.format or "%x" in column.format


def any_day(column: Column, today: pl.Expr) -> pl.Expr:
    """Date of any date column, by what it identifies."""
    return birth_day(column, today) if column.identifies is Identifies.BIRTH_DATE else day(column)
