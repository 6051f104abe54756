"""Numbers become classes, and ages from 90 on become one: 45 CFR 164.514(b)(2)(i)(C)."""

from __future__ import annotations

from itertools import pairwise

import polars as pl

from slidekeeper.model.contract import OLDEST_AGE, Column, Dialect, Identifies
from slidekeeper.steps.records.typed_cells import decimal

OLDEST_CLASS = f"{OLDEST_AGE}+"


def generalized(column: Column, dialect: Dialect) -> pl.Expr:
    """Return the class of each number as String; see :func:`class_labels`. Negative ages are null."""
    number = decimal(pl.col(column.name), dialect)
    if column.identifies is not Identifies.AGE:
        return _binned(number, column.bins)
    age = pl.when(number >= 0).then(number.floor())
    below = _binned(age, _edges(column)) if column.bins else age.cast(pl.Int64).cast(pl.String)
    return pl.when(age >= OLDEST_AGE).then(pl.lit(OLDEST_CLASS)).otherwise(below)


def class_labels(column: Column) -> tuple[str, ...]:
    """Every class a generalized column can hold.

    ``[10,20)`` holds 10 and not 20; what lies outside the edges is in ``<10`` or ``>=70``. Ages without bins are whole years, as text;
    with bins, the class that reaches 90 ends there. Ages from 90 on are always :data:`OLDEST_CLASS`.
    """
    if column.identifies is not Identifies.AGE:
        return _labels(column.bins)
    below = _labels(_edges(column))[:-1] if column.bins else tuple(str(age) for age in range(OLDEST_AGE))
    return (*below, OLDEST_CLASS)


def _edges(column: Column) -> tuple[float, ...]:
    """Edges of age classes: none beyond 90, and 90 itself."""
    return (*(edge for edge in column.bins if edge < OLDEST_AGE), float(OLDEST_AGE))


def _binned(number: pl.Expr, edges: tuple[float, ...]) -> pl.Expr:
    """Closed-open classes between the edges, and two open ones outside."""
    *labels, last = _labels(edges)
    classes = pl.lit(last)
    for edge, label in zip(reversed(edges), reversed(labels), strict=True):
        classes = pl.when(number < edge).then(pl.lit(label)).otherwise(classes)
    return pl.when(number.is_not_null()).then(classes)


def _labels(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Names of the classes that the edges make, from low to high."""
    names = [_plain(edge) for edge in edges]
    between = (f"[{low},{high})" for low, high in pairwise(names))
    return (f"<{names[0]}", *between, f">={names[-1]}")


def _plain(edge: float) -> str:
    """An edge without a superfluous point."""
    return str(int(edge)) if edge.is_integer() else repr(edge)
