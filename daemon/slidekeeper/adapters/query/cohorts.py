"""Chooses cohorts: a person's condition runs where `query` runs, over slides and the published table of what the records say of them."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.errors import Refused
from slidekeeper.model.manifest import StagedImage

IMAGE = ("number", "revision", "extension", "size", "digest")
CANDIDATES = """
    WITH candidates AS (
        SELECT slides.* EXCLUDE (levels, removed),
               cohort.* EXCLUDE (slide_number, batch, revision, key, format, magnification, mpp, size, stored)
        FROM slides LEFT JOIN cohort ON slide_number = number
    )
"""
"""Every slide once, with what the sources say of it where it is aligned. Left out is what slides have under the same name, and lists,
which a CSV file cannot hold."""


class DuckdbCohorts:
    """Implements :class:`slidekeeper.ports.cohorts.Cohorts`."""

    def __init__(self, query: DuckdbQuery) -> None:
        self._query = query

    def choose(self, where: str, rows: Path) -> Sequence[StagedImage]:
        """Slides that meet the condition."""
        return self._save(f"{CANDIDATES} FROM candidates WHERE ({checked_condition(where)}\n)", rows)

    def named(self, numbers: Sequence[str], rows: Path) -> Sequence[StagedImage]:
        """These slides; the numbers are digits."""
        listed = ",".join(sorted(set(numbers)))
        chosen = f"SELECT unnest(string_split('{listed}', ','))"
        return self._save(f"{CANDIDATES} FROM candidates WHERE number IN ({chosen})", rows)

    def without(self, rows: Path, numbers: Sequence[str]) -> int:
        """Rewrite a file of rows without those of some slides."""
        table = pl.read_parquet(rows)
        kept = table.filter(~pl.col("number").is_in(list(numbers)))
        aside = rows.with_name(f".{rows.name}.part")
        with aside.open("wb") as stream:
            kept.write_parquet(stream, compression="zstd")
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(rows)
        return table.height - kept.height

    def labels(self, rows: Path) -> tuple[bytes, bytes]:
        """The rows as Parquet and CSV."""
        table = pl.read_parquet(rows)
        text = io.BytesIO()
        table.write_csv(text)
        return rows.read_bytes(), text.getvalue()

    def _save(self, sql: str, rows: Path) -> Sequence[StagedImage]:
        self._query.save(f"{sql} ORDER BY number", rows)
        chosen = pl.scan_parquet(rows).select(IMAGE).collect()
        return [StagedImage.model_validate(row) for row in chosen.to_dicts()]


def checked_condition(where: str) -> str:
    """The condition as DuckDB understands it: one expression, which cannot end what stands around it.

    Raises:
        Refused: it is none.
    """
    try:
        return str(duckdb.SQLExpression(where))
    except duckdb.Error as error:
        remedy = "Give one condition, as behind WHERE: `grade >= 4 AND stain = 'HE'`"
        raise Refused("sql-wrong", str(error).strip().splitlines()[0], remedy) from None
