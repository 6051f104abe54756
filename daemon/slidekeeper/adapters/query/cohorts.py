"""Chooses cohorts: a person's condition runs where `query` runs, over one table that joins slides with all rows that are tied to them.

The relation is made here and nowhere else; where the catalog publishes a table of the name ``cohort``, that is taken instead.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import polars as pl

from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.errors import Refused
from slidekeeper.model.manifest import StagedImage

READY_MADE = "cohort"
RECORDS = "records_"
KEYS = ("records", "batch", "revision", "contract", "contract_version", "row", "slide_number", "case_number", "patient_number")
"""What every table of records has to find its rows by; numbers of case and patient come from the alignment."""
IMAGE = ("number", "revision", "extension", "size", "digest")
NESTED = ("levels", "removed")
"""Columns of slides that a CSV file cannot hold, and that no training asks for."""


class DuckdbCohorts:
    """Implements :class:`slidekeeper.ports.cohorts.Cohorts`."""

    def __init__(self, query: DuckdbQuery) -> None:
        self._query = query

    def choose(self, where: str, rows: Path) -> Sequence[StagedImage]:
        """Slides with a row that meets the condition."""
        relation = self._relation()
        chosen = f"SELECT number FROM cohort WHERE ({checked_condition(where)}\n)"  # noqa: S608 - one expression, where it can do no harm
        return self._save(f"WITH cohort AS ({relation}) FROM cohort WHERE number IN ({chosen})", rows)

    def named(self, numbers: Sequence[str], rows: Path) -> Sequence[StagedImage]:
        """These slides; the numbers are digits."""
        listed = ",".join(sorted(set(numbers)))
        chosen = f"SELECT unnest(string_split('{listed}', ','))"
        return self._save(f"WITH cohort AS ({self._relation()}) FROM cohort WHERE number IN ({chosen})", rows)

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
        self._query.save(f"{sql} ORDER BY ALL", rows)
        chosen = pl.scan_parquet(rows).select(IMAGE).unique().sort("number").collect()
        return [StagedImage.model_validate(row) for row in chosen.to_dicts()]

    def _relation(self) -> str:
        with self._query.ask("SELECT table_name, column_name FROM information_schema.columns") as answer:
            tables: dict[str, list[str]] = {}
            for table, column in answer.rows:
                tables.setdefault(table, []).append(column)
        return f"FROM {READY_MADE}" if READY_MADE in tables else relation(tables)


def relation(tables: Mapping[str, Sequence[str]]) -> str:
    """SELECT over slides and their rows: one row for each slide and combination of its rows, null where a source has none.

    Each source's own columns have their names; where two sources, or a source and slides, have the same, ``<source>_`` stands before it.
    """
    sources = {name.removeprefix(RECORDS): columns for name, columns in sorted(tables.items()) if name.startswith(RECORDS)}
    slides = [column for column in tables["slides"] if column not in NESTED]
    seen = Counter([*slides, "case_number", "patient_number"])
    seen.update(column for columns in sources.values() for column in columns if column not in KEYS)
    selected = [f"s.{_name(column)}" for column in slides]
    joins = []
    for source, columns in sources.items():
        own = [column for column in columns if column not in KEYS]
        selected += [f"r_{source}.{_name(c)} AS {_name(c if seen[c] == 1 else f'{source}_{c}')}" for c in own]
        joins.append(
            f"LEFT JOIN (FROM alignment a JOIN {RECORDS}{source} r ON a.source = '{source}' AND r.records = a.records AND r.row = a.row "
            f"SELECT a.slide_number AS tied, r.*) AS r_{source} ON r_{source}.tied = s.number"
        )
    if "alignment" in tables:
        selected += ["n.case_number", "n.patient_number"]
        numbers = "slide_number, max(case_number) AS case_number, max(patient_number) AS patient_number"
        joins.append(f"LEFT JOIN (FROM alignment SELECT {numbers} GROUP BY slide_number) AS n ON n.slide_number = s.number")
    return f"SELECT {', '.join(selected)} FROM slides s {' '.join(joins)}"  # noqa: S608 - names of published columns


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


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
