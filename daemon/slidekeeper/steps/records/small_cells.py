"""Rare combinations: who shares a year, an age and a region with fewer than five others may be found by those who know that much.

What is reported are counts by columns, never the combination's values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from slidekeeper.model.contract import Action, Column, Contract, Identifies, ValueType

FEWEST = 5
"""Patients who must share a combination (the k of k-anonymity, Sweeney 2002)."""
MOST_COLUMNS = 6
"""Columns that are combined; the first of those given."""
MOST_COMBINED = 3
"""Columns of one combination. What is rare in two columns is rare in every three that hold them."""
PATIENT = "patient_number"
FREQUENT = (Identifies.ZIP, Identifies.AGE, Identifies.BIRTH_DATE, Identifies.DATE)
"""What others are likely to know, most telling first."""


def quasi_columns(contract: Contract) -> tuple[str, ...]:
    """Output columns that somebody else may know of a patient, the most telling first: region, age, years, then kept words and truths."""
    told = [column for column in contract.columns if _is_quasi(column)]
    return tuple(column.output_name for column in sorted(told, key=_rank))[:MOST_COLUMNS]


@dataclass(frozen=True, slots=True)
class SmallCells:
    """What is rare in a source."""

    report: pl.DataFrame
    """A row for each single column, pair and triple: ``columns`` (List of String), ``cells`` (distinct combinations of values),
    ``small`` (those with too few patients), ``rows`` (in small ones), ``fewest`` (patients in the smallest)."""
    rows: int
    """Those that stand in at least one small cell."""


def small_cells(frame: pl.DataFrame, quasi_columns: Sequence[str], k: int = FEWEST) -> SmallCells:
    """Report single columns, pairs and triples whose values fewer than ``k`` patients share.

    Args:
        frame: output of a source, without canaries. Patients are counted where their number is known, rows otherwise.
        quasi_columns: output columns to combine; the first :data:`MOST_COLUMNS`, as far as the frame has them.
        k: fewest patients that a combination must have. An empty cell is a value like any other.
    """
    coded, codes = _coded(frame, quasi_columns)
    report, rare = [], pl.zeros(coded.height, dtype=pl.Boolean, eager=True)
    for chosen in _chosen(tuple(codes)):
        keyed = _keyed(coded, chosen)
        shared = keyed.group_by("key").agg(pl.col("new").sum().cast(pl.Int64).alias("patients"), pl.col("rows").sum())
        small = shared.filter(pl.col("patients") < k)
        report.append(([codes[code] for code in chosen], shared.height, small.height, small["rows"].sum(), shared["patients"].min()))
        if len(chosen) == min(MOST_COMBINED, len(codes)):
            rare = rare | keyed["key"].is_in(small["key"].implode())
    counts = dict.fromkeys(("cells", "small", "rows", "fewest"), pl.Int64)
    told = pl.DataFrame(report, schema={"columns": pl.List(pl.String), **counts}, orient="row")
    return SmallCells(told, int(coded["rows"].filter(rare).sum()))


def _is_quasi(column: Column) -> bool:
    """Whether others may know what comes out of a column."""
    if column.action in {Action.YEAR, Action.ZIP3}:
        return True
    if column.action is Action.GENERALIZE:
        return column.identifies is Identifies.AGE
    return column.action is Action.KEEP and column.type in {ValueType.TEXT, ValueType.BOOLEAN}


def _rank(column: Column) -> int:
    """Place in the order of what others are likely to know."""
    return FREQUENT.index(column.identifies) if column.identifies in FREQUENT else len(FREQUENT)


def _coded(frame: pl.DataFrame, quasi_columns: Sequence[str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """Distinct combinations of patient and values, as small numbers, with the number of their ``rows``; and which code is which column."""
    chosen = [name for name in quasi_columns if name in frame.columns][:MOST_COLUMNS]
    codes = {f"q{place}": name for place, name in enumerate(chosen)}
    values = [_code(pl.col(name).cast(pl.String)).fill_null(0).alias(code) for code, name in codes.items()]
    who = pl.col(PATIENT) if PATIENT in frame.columns else pl.lit(None, dtype=pl.String)
    alone = -1 - pl.int_range(pl.len(), dtype=pl.Int64)
    patient = pl.when(who.is_null()).then(alone).otherwise(_code(who).cast(pl.Int64)).alias("patient")
    return frame.select(patient, *values).group_by("patient", *codes).agg(pl.len().cast(pl.Int64).alias("rows")), codes


def _code(texts: pl.Expr) -> pl.Expr:
    """A number for each distinct text, from 1; much faster than its rank, which nobody needs."""
    return texts.cast(pl.Categorical).to_physical().cast(pl.UInt32) + 1


def _chosen(codes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Single columns, pairs, triples."""
    for size in range(1, MOST_COMBINED + 1):
        yield from combinations(codes, size)


def _keyed(coded: pl.DataFrame, chosen: Sequence[str]) -> pl.DataFrame:
    """For each coded row a hash of its values (``key``), whether its patient is ``new`` among those who share them, its ``rows``."""
    key = coded.select(chosen).hash_rows().alias("key")
    new = coded.select("patient", *chosen).hash_rows().is_first_distinct().alias("new")
    return pl.DataFrame([key, new, coded["rows"]])
