"""The leak audit: every emitted cell is looked at before anything is published, by means that share nothing with the transformation.

Four looks, each of which alone holds everything back:

- *Shape*: a column is there because the contract says so, has the type and the values that the contract allows. A column nobody asked
  for, or a word outside a vocabulary, is a finding whatever it says.
- *Identifiers*: what is not closed by its shape is searched for every identifier of the batch (see :mod:`identifiers` for the spellings,
  the method and what cannot be found). Numbers count only beyond chance: the random numbers, ``row``, kept numbers, years and distances.
- *Patterns*: texts are searched for whatever looks like an identifier, whosever it may be (see :mod:`telltales`).
- *Canaries*: made-up rows whose secrets must have vanished from their own output, where even short values and dates are compared, and
  which the search must find in a control text. A search that does not see them proves nothing, and that is a finding too.

A finding names column and count, never a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from slidekeeper.model.contract import Contract
from slidekeeper.steps.records.canaries import CanaryValues
from slidekeeper.steps.records.folding import compact, folded
from slidekeeper.steps.records.identifiers import Identifiers
from slidekeeper.steps.records.output_shapes import Search, Shape, guessed, shapes
from slidekeeper.steps.records.telltales import telltales

__all__ = ["Finding", "Identifiers", "audit"]

UNEXPECTED, MISSHAPEN, CANARY, CANARY_LOST, BLIND = "unexpected-column", "misshapen", "canary", "canary-lost", "blind"
SEARCHABLE = (pl.String, pl.Categorical, pl.Enum, pl.Boolean, pl.Null, pl.Date, pl.Datetime)
LONG_SECRET = 9
"""From so many characters on a secret is found within a cell; shorter ones, which chance may put into a number, only as a whole cell."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not leave the hospital, or may be."""

    source: str
    column: str
    kind: str
    """``misshapen``, ``unexpected-column``, ``canary``, ``canary-lost``, ``blind``, ``pattern-…``, or the way in which it identifies."""
    count: int
    """Cells."""


def audit(
    outputs: Mapping[str, pl.DataFrame], identifiers: Identifiers, contracts: Mapping[str, Contract] | None = None
) -> tuple[Finding, ...]:
    """Search all outputs of a batch; nothing found is an empty tuple.

    Args:
        outputs: by source, what :func:`~slidekeeper.steps.records.transform.transform` returned, canary rows included.
        identifiers: of all sources of the batch, and of the canaries.
        contracts: by source. Without a source's contract its shape cannot be judged: every column is searched, vocabularies too.
    """
    known = contracts or {}
    found: list[Finding] = []
    for source, frame in outputs.items():
        expected = shapes(known[source]) if source in known else {name: guessed(name, frame.schema[name]) for name in frame.columns}
        for name in frame.columns:
            found += [Finding(source, name, kind, count) for kind, count in _in_column(frame[name], expected.get(name), identifiers)]
    for canary in identifiers.canaries:
        if canary.source in outputs:
            found += [Finding(canary.source, *rest) for rest in _of_canary(outputs[canary.source], canary, identifiers)]
    return tuple(found)


def _in_column(cells: pl.Series, shape: Shape | None, identifiers: Identifiers) -> Iterator[tuple[str, int]]:
    """Kinds and counts of what is wrong with a column."""
    if shape is None:
        yield UNEXPECTED, len(cells)
    if not _is_searchable(cells):
        yield MISSHAPEN, len(cells)
        return
    distinct = cells.unique().drop_nulls()
    if shape is None or cells.dtype != shape.dtype:
        yield from [(MISSHAPEN, len(cells))] if shape else []
        yield from _in_texts(cells, distinct, identifiers)
        return
    allowed = shape.allows(distinct).fill_null(False)
    if not allowed.all():
        yield MISSHAPEN, _count(cells, distinct.filter(~allowed))
    if shape.search is Search.NUMBER:
        yield from _in_numbers(cells, distinct, identifiers)
    if shape.search is Search.TEXT or not allowed.all():
        yield from _in_texts(cells, distinct, identifiers)


def _is_searchable(cells: pl.Series) -> bool:
    """Whether the cells have a text that can be searched; nested and binary ones have not."""
    return cells.dtype.is_numeric() or cells.dtype.base_type() in SEARCHABLE


def _in_texts(cells: pl.Series, distinct: pl.Series, identifiers: Identifiers) -> Iterator[tuple[str, int]]:
    """Identifiers and patterns in cells that may say anything."""
    texts = distinct.cast(pl.String)
    yield from _counted(cells, distinct, identifiers.in_texts(texts))
    for telltale, has in telltales(texts):
        if has.any():
            yield telltale.value, _count(cells, distinct.filter(has))


def _in_numbers(cells: pl.Series, distinct: pl.Series, identifiers: Identifiers) -> Iterator[tuple[str, int]]:
    """Identifiers among numbers; of fractions their whole text."""
    if cells.dtype.is_float():
        whole = distinct.is_finite() & (distinct == distinct.round(0)) & (distinct.abs() < 1e15)  # noqa: PLR2004 - exact below
        fractions = distinct.filter(~whole)
        yield from _counted(cells, fractions, identifiers.in_texts(fractions.cast(pl.String)))
        distinct = distinct.filter(whole)
        yield from _counted(cells, distinct, identifiers.in_numbers(distinct.cast(pl.Int64).abs().cast(pl.String)))
        return
    digits = distinct.cast(pl.String).str.strip_chars_start("-")
    yield from _counted(cells, distinct, identifiers.in_numbers(digits))


def _counted(cells: pl.Series, distinct: pl.Series, hits: pl.DataFrame) -> Iterator[tuple[str, int]]:
    """Each kind of hit with the number of cells."""
    for kind in sorted(hits["kind"].unique().to_list()):
        yield kind, _count(cells, distinct.gather(hits.filter(pl.col("kind") == kind)["index"]))


def _count(cells: pl.Series, bad: pl.Series) -> int:
    """How many cells hold one of some values."""
    return int(cells.is_in(bad.implode()).sum())


def _of_canary(frame: pl.DataFrame, canary: CanaryValues, identifiers: Identifiers) -> Iterator[tuple[str, str, int]]:
    """What a canary tells: columns, kinds, counts."""
    rows = frame.filter(pl.col("row").is_in(canary.lines)) if "row" in frame.columns else frame.clear()
    if rows.height != len(canary.lines):
        yield "row", CANARY_LOST, abs(len(canary.lines) - rows.height)
    for name in filter(lambda name: _is_searchable(rows[name]), rows.columns):
        leaking = sum(_leaks(cell, canary.secrets) for cell in compact(folded(rows[name].cast(pl.String))).drop_nulls())
        if leaking:
            yield name, CANARY, leaking
    control = pl.Series([f"seen with {value}, today" for _, value in canary.values], dtype=pl.String)
    unseen = len(control) - identifiers.in_texts(control)["index"].n_unique()
    if unseen:
        yield "", BLIND, unseen


def _leaks(cell: str, secrets: frozenset[str]) -> bool:
    """Whether a cell is a secret, or holds a long one."""
    return cell in secrets or any(len(secret) >= LONG_SECRET and secret in cell for secret in secrets)
