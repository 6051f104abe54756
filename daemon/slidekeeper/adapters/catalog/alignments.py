"""Questions to the alignments that are current, answered from their files in the bucket: the catalog keeps no row of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from slidekeeper.model.records import ALIGNMENT_ROWS, RecordsId, alignment_key
from slidekeeper.ports.catalog import Kin

CURRENT = "SELECT records, batch, revision, alignment FROM current_records WHERE alignment IS NOT NULL ORDER BY records"
NUMBERS = ("reference", "slide_number", "patient_number", "case_number")


@dataclass(frozen=True, slots=True)
class Alignments:
    """The current alignments' files."""

    files: Mapping[RecordsId, Path]

    @classmethod
    def current(cls, connection: duckdb.DuckDBPyConnection, objects: Path) -> Alignments:
        """All that are there; one that a withdrawal has removed is being made anew."""
        rows = connection.execute(CURRENT).fetchall()
        files = {
            RecordsId(records): objects / alignment_key(batch, revision, alignment) / ALIGNMENT_ROWS
            for records, batch, revision, alignment in rows
        }
        return cls({records: path for records, path in files.items() if path.is_file()})

    def waiting_for(self, numbers: Sequence[str]) -> Sequence[RecordsId]:
        """Records that have rows without a slide which refer to one of ``numbers``."""
        waits = pl.col("problem").eq("row-without-slide") & pl.col("reference").is_in(list(numbers))
        return [records for records, path in self.files.items() if pl.scan_parquet(path).filter(waits).head(1).collect().height]

    def findings(self, records: RecordsId, limit: int) -> Sequence[Mapping[str, Any]]:
        """Rows of one batch's records that are tied to nothing, by source and line."""
        path = self.files.get(records)
        if path is None:
            return []
        rows = pl.scan_parquet(path).filter(pl.col("problem").is_not_null()).select("source", "row", "problem", "reference")
        return rows.sort("source", "row").head(limit).collect().to_dicts()

    def kin(self, numbers: Iterable[str]) -> Kin:
        """A patient's number stands for all of that patient; a slide's for that slide, and for a patient who has no other."""
        wanted = list(numbers)
        rows = self._rows(pl.any_horizontal(pl.col(name).is_in(wanted) for name in NUMBERS))
        slides = _numbers(rows.filter(~pl.col("patient_number").is_in(wanted).fill_null(value=False)), "slide_number", "reference")
        patients = _numbers(rows, "patient_number")
        known = self._rows(pl.col("patient_number").is_in(list(patients)))
        alone = {patient for patient in patients if patient in wanted or _slides_of(known, patient) <= slides}
        theirs = known.filter(pl.col("patient_number").is_in(list(alone)))
        return Kin(slides | _numbers(theirs, "slide_number", "reference"), frozenset(alone) | _numbers(theirs, "case_number"))

    def _rows(self, condition: pl.Expr) -> pl.DataFrame:
        parts = [pl.scan_parquet(path).select(NUMBERS).filter(condition).collect() for path in self.files.values()]
        return pl.concat(parts) if parts else pl.DataFrame(schema=dict.fromkeys(NUMBERS, pl.String))


def _slides_of(rows: pl.DataFrame, patient: str) -> frozenset[str]:
    return _numbers(rows.filter(pl.col("patient_number") == patient), "slide_number", "reference")


def _numbers(rows: pl.DataFrame, *columns: str) -> frozenset[str]:
    return frozenset(number for column in columns for number in rows[column].drop_nulls().unique())
