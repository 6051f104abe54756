"""What each output column may hold by its contract, read from the contract alone: the audit's own opinion of the transformation.

A column whose values are closed (vocabulary, classes, parts of grammars) needs no search when it keeps to them: they were fixed before
any patient was seen, so that the word "White" among allowed colours is no name.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import polars as pl

from slidekeeper.model.contract import Action, Column, Contract, Domain, ValueType
from slidekeeper.steps.records.generalizing import class_labels
from slidekeeper.steps.records.grammars import grammar_of
from slidekeeper.steps.records.zip3 import restricted_prefixes

NUMBER = "^[0-9]{12}$"
PREFIX = "^[0-9]{3}$"
FIRST_YEAR, LAST_YEAR = 1000, 2999
MOST_DAYS = 150 * 366
"""No two dates of one patient lie further apart."""


class Search(enum.Enum):
    """How the cells of a column are searched."""

    CLOSED = "not at all, as long as they keep to their shape"
    NUMBER = "as numbers, beyond chance"
    TEXT = "as text, and for patterns"
    DATE = "not at all: almost every day is a date of somebody. Canaries show whether dates were shifted"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a column may hold."""

    dtype: pl.DataType | type[pl.DataType]
    search: Search
    allows: Callable[[pl.Series], pl.Series] = lambda cells: cells.is_not_null()
    """Which of some non-null cells are allowed."""


def shapes(contract: Contract) -> dict[str, Shape]:
    """Shape of every column that may come out of this source, by its name."""
    found = {"row": Shape(pl.Int64, Search.NUMBER)}
    for domain in Domain:
        if contract.of_domain(domain):
            found[f"{domain}_number"] = Shape(pl.String, Search.NUMBER, _matching(NUMBER))
    for column in contract.columns:
        found |= dict(_shapes_of(column))
    return found


def guessed(name: str, dtype: pl.DataType) -> Shape:
    """Shape of a column of which no contract is known: searched as thoroughly as its type allows."""
    if name == "row" or name in {f"{domain}_number" for domain in Domain} or dtype.is_numeric():
        return Shape(dtype, Search.NUMBER)
    return Shape(dtype, Search.CLOSED if dtype in {pl.Boolean, pl.Null} else Search.TEXT)


def _shapes_of(column: Column) -> Iterator[tuple[str, Shape]]:
    """Output columns of one column, beside numbers."""
    if column.action is Action.EXTRACT:
        for part in grammar_of(column.grammar).parts:
            yield f"{column.output_name}_{part.name}", Shape(part.dtype, Search.CLOSED, _among(part.allowed))
    elif column.action not in {Action.DROP, Action.PSEUDONYMIZE}:
        yield column.output_name, _shape(column)


def _shape(column: Column) -> Shape:
    """Shape of a column that becomes one column."""
    made = {
        Action.YEAR: Shape(pl.Int32, Search.NUMBER, _between(FIRST_YEAR, LAST_YEAR)),
        Action.DAYS_FROM_ANCHOR: Shape(pl.Int32, Search.NUMBER, _between(-MOST_DAYS, MOST_DAYS)),
        Action.SHIFT: Shape(pl.Date, Search.DATE),
        Action.ZIP3: Shape(pl.String, Search.CLOSED, _prefix),
        Action.SCRUB: Shape(pl.String, Search.TEXT),
    }
    if column.action is Action.GENERALIZE:
        return Shape(pl.String, Search.CLOSED, _among(class_labels(column)))
    return made.get(column.action) or _kept(column)


def _kept(column: Column) -> Shape:
    """Shape of a kept column: its type's, within its bounds."""
    match column.type:
        case ValueType.INTEGER:
            return Shape(pl.Int64, Search.NUMBER, _between(column.minimum, column.maximum))
        case ValueType.DECIMAL:
            return Shape(pl.Float64, Search.NUMBER, _between(column.minimum, column.maximum))
        case ValueType.BOOLEAN:
            return Shape(pl.Boolean, Search.CLOSED)
        case _:
            return Shape(pl.String, Search.CLOSED, _among(column.vocabulary))


def _matching(pattern: str) -> Callable[[pl.Series], pl.Series]:
    return lambda cells: cells.str.contains(pattern)


def _among(values: tuple[str, ...] | tuple[int, ...]) -> Callable[[pl.Series], pl.Series]:
    return lambda cells: cells.is_in(list(values))


def _between(low: float | None, high: float | None) -> Callable[[pl.Series], pl.Series]:
    low, high = -float("inf") if low is None else low, float("inf") if high is None else high
    return lambda cells: (cells >= low) & (cells <= high)


def _prefix(cells: pl.Series) -> pl.Series:
    return cells.str.contains(PREFIX) & ~cells.is_in(restricted_prefixes())
