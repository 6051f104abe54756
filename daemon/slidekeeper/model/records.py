"""What is known of a batch's records: counts, codes and keys. No cell of any row."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import NewType

from slidekeeper.model.identity import BatchId
from slidekeeper.model.value import Value

RecordsId = NewType("RecordsId", str)
"""12 hexadecimal digits, drawn when the first file of a records folder is seen; one id through all revisions."""


def new_records_id() -> RecordsId:
    """Draw a new random records id."""
    return RecordsId(secrets.token_hex(6))


RECORDS = "records"
"""Bucket key below which all records and alignments lie."""
RECORDS_FACTS, ALIGNMENT_FACTS, ALIGNMENT_ROWS = "records.json", "alignment.json", "alignment.parquet"
"""Files of a revision's and of an alignment's folder."""


def rows_file(source: str) -> str:
    """Name of a source's file in a revision's folder: ``<source>.parquet``."""
    return f"{source}.parquet"


def records_key(batch: BatchId, revision: int) -> str:
    """Bucket key of one revision's folder: ``records/<batch>/r<revision>``."""
    return f"{RECORDS}/{batch}/r{revision}"


def alignment_key(batch: BatchId, revision: int, alignment: int) -> str:
    """Bucket key of one alignment's folder: ``records/<batch>/r<revision>-a<alignment>``."""
    return f"{RECORDS}/{batch}/r{revision}-a{alignment}"


class SourceFacts(Value):
    """One CSV file after anonymization."""

    source: str
    contract: str
    """Digest of the contract that was applied."""
    contract_version: int
    rows: int
    """Rows that came through."""
    rejected: Mapping[str, int]
    """Rows that did not, by code."""
    columns: tuple[str, ...]
    """Columns that came out, in order."""
    small_cells: int
    """Rows whose combination of kept facts fewer than five rows share."""
    digest: str
    """``blake3:<hex>`` of the Parquet file."""


class RecordsFacts(Value):
    """One revision of a batch's records, as stored."""

    records: RecordsId
    revision: int
    batch: BatchId
    """The newest image batch of the same session."""
    sources: tuple[SourceFacts, ...]
    seconds: float
    anonymizer: str

    @property
    def key(self) -> str:
        """Bucket key of the revision's folder."""
        return records_key(self.batch, self.revision)


class AlignmentFacts(Value):
    """How a batch's records fit its slides; counts only."""

    records: RecordsId
    revision: int
    alignment: int
    """Grows with every alignment of this batch."""
    counts: Mapping[str, int]
    """``matched``, ``slide-without-row``, ``row-without-slide``, ``duplicate-row``, ``ambiguous``, ``patient-conflict`` …"""
