"""Cells are text; here they become numbers, truths and dates, as the contract says they are written. What cannot be read is null."""

from __future__ import annotations

import polars as pl

from slidekeeper.model.contract import TRUTHS, Column, Dialect, ValueType

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
    """Boolean from the contract's words, without regard to case."""
    word = text.str.strip_chars().str.to_lowercase()
    return word.replace_strict(list(TRUTHS), list(TRUTHS.values()), default=None, return_dtype=pl.Boolean)


def day(column: Column) -> pl.Expr:
    """Date of a date or datetime column; the time of day is left behind."""
    return pl.col(column.name).str.strip_chars().str.to_date(column.format, strict=False)
