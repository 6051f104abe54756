"""Makes up records of many batches in a bucket, with their alignments, as the records workflow leaves them there."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from prefill import FIRST_NUMBER

from slidekeeper.messages.events import Event, RecordsAligned, RecordsLoaded
from slidekeeper.model.identity import BatchId
from slidekeeper.model.records import ALIGNMENT_ROWS, AlignmentFacts, RecordsFacts, RecordsId, SourceFacts, alignment_key
from slidekeeper.ports.journal import Recorded

PLAIN_COLUMNS = 36


def made_rows(start: int, count: int, seed: int = 0, columns: int = PLAIN_COLUMNS) -> pl.DataFrame:
    """Rows for the slides from ``start`` on: line, three numbers, and ``columns`` others, a third each of words, integers, decimals."""
    random = np.random.default_rng(seed)
    index = pl.int_range(start, start + count, eager=True)
    others = {}
    for column in range(columns):
        kinds = (random.choice(["HE", "Ki67", "PSA", "p63"], count), random.integers(0, 1000, count), random.random(count).round(3))
        others[f"column_{column}"] = pl.Series(kinds[column % 3])
    return pl.DataFrame(
        {
            "row": pl.int_range(2, count + 2, eager=True),
            "slide_number": (index + FIRST_NUMBER).cast(pl.String),
            "case_number": (index // 3 + 2 * FIRST_NUMBER).cast(pl.String),
            "patient_number": (index // 9 + 3 * FIRST_NUMBER).cast(pl.String),
            **others,
        }
    )


def write_batch(bucket: Path, number: int, rows: int) -> list[Event]:
    """One batch's records of one source and their alignment; returns the events that tell of them."""
    records, batch = RecordsId(f"{number:012x}"), BatchId(f"b{number:011x}")
    frame = made_rows(number * rows, rows, seed=number)
    source = SourceFacts(
        source="imagery", contract=f"sha256:{0:064x}", contract_version=1, rows=rows, rejected={}, columns=tuple(frame.columns),
        small_cells=0, digest=f"blake3:{number:064x}",
    )  # fmt: skip
    facts = RecordsFacts(records=records, revision=1, batch=batch, sources=(source,), seconds=1.0, anonymizer="0.1.0")
    (bucket / facts.key).mkdir(parents=True)
    frame.write_parquet(bucket / facts.key / "imagery.parquet")
    alignment = bucket / alignment_key(batch, 1, 1)
    alignment.mkdir()
    numbers = frame.select("row", pl.col("slide_number").alias("reference"), "slide_number", "case_number", "patient_number")
    said = {"source": pl.lit("imagery"), "match_method": pl.lit("exact"), "problem": pl.lit(None, pl.String)}
    numbers.with_columns(**said).write_parquet(alignment / ALIGNMENT_ROWS)
    counted = AlignmentFacts(records=records, revision=1, alignment=1, counts={"matched": rows})
    return [RecordsLoaded(records=records, facts=facts), RecordsAligned(records=records, facts=counted)]


def recorded(events: list[Event], after: int) -> list[Recorded]:
    """The events as the journal would hold them."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return [Recorded(seq, f"{seq}", moment, event) for seq, event in enumerate(events, after + 1)]
