"""Questions to the journal, on a connection that cannot write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from slidekeeper.adapters.journal.schema import open_at_rest, open_beside_writer
from slidekeeper.adapters.journal.training import TrainingReader
from slidekeeper.adapters.journal.transaction import ALL_BATCHES, SUBJECTS, tally
from slidekeeper.messages.commands import command_from_json
from slidekeeper.messages.events import event_from_json
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.records import RecordsId
from slidekeeper.ports.journal import BatchRow, PackRow, Pending, Recorded, RecordsRow
from slidekeeper.workflow.states import BatchState, PackState, RecordsState

EVENTS = "SELECT seq, id, time, data FROM events"
PACKS = "SELECT pack, state, drop_name, batch, attempts, reason, detail, arrived, updated FROM packs"
RECORDS = "SELECT records, state, revision, batch, alignment, attempts, reason, detail, arrived, updated FROM records"
BATCHES = "SELECT batch, drop_name, state, opened_seq FROM batches"


class Reader:
    """The synchronous half of the journal port; every method is called from one thread at a time.

    Where several types or states are asked for, each is read by its index and the results are merged: the cost follows the
    limit, not the size of the journal.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.training = TrainingReader(connection)

    @classmethod
    def beside_writer(cls, path: Path) -> Reader:
        """Read while a writer in this process keeps the file open."""
        return cls(open_beside_writer(path))

    @classmethod
    def at_rest(cls, path: Path) -> Reader:
        """Read while no daemon runs; makes no file.

        Raises:
            Refused: there is no journal, or it is damaged or written by a newer version.
        """
        return cls(open_at_rest(path))

    def pending(self, lane: str, after: int, limit: int) -> Sequence[Pending]:
        """Commands of one lane behind ``after``, oldest first."""
        rows = [
            row
            for table, key in SUBJECTS
            for row in self._connection.execute(
                f"SELECT lane_seq, {key}, command, attempts FROM {table} WHERE lane = ? AND lane_seq > ? ORDER BY lane_seq LIMIT ?",  # noqa: S608 - our own names
                (lane, after, limit),
            )
        ]
        return [Pending(seq, subject, command_from_json(command), attempts) for seq, subject, command, attempts in sorted(rows)[:limit]]

    def events(self, after: int, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        """Events behind ``after``, oldest first."""
        rows = self._rows_of_types(f"{EVENTS} WHERE seq > :after", "ORDER BY seq", types, after=after, limit=limit)
        return [_recorded(row) for row in sorted(rows)[:limit]]

    def latest(self, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        """The newest events, oldest first."""
        rows = self._rows_of_types(f"{EVENTS} WHERE seq > 0", "ORDER BY seq DESC", types, limit=limit)
        return [_recorded(row) for row in sorted(rows)[-limit:]]

    def head(self) -> int:
        """The newest ``seq``."""
        return int(self._connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def pack(self, pack: PackId) -> PackRow | None:
        """One pack, or None."""
        row = self._connection.execute(f"{PACKS} WHERE pack = ?", (pack,)).fetchone()
        return _pack_row(row) if row else None

    def packs(self, states: Iterable[PackState], after: str, limit: int) -> Sequence[PackRow]:
        """Packs in any of ``states``, by id."""
        query = f"{PACKS} WHERE state = ? AND pack > ? ORDER BY pack LIMIT ?"
        rows = [row for state in states for row in self._connection.execute(query, (state, after, limit))]
        return [_pack_row(row) for row in sorted(rows)[:limit]]

    def counts(self) -> Mapping[PackState, int]:
        """Packs per state."""
        return tally(self._connection, ALL_BATCHES)

    def records(self, states: Iterable[RecordsState], after: str, limit: int) -> Sequence[RecordsRow]:
        """Records in any of ``states``, by id; of all when none is named."""
        query = f"{RECORDS} WHERE state = ? AND records > ? ORDER BY records LIMIT ?"
        wanted = list(states) or list(RecordsState)
        rows = [row for state in wanted for row in self._connection.execute(query, (state, after, limit))]
        return [_records_row(row) for row in sorted(rows)[:limit]]

    def records_row(self, records: RecordsId) -> RecordsRow | None:
        """The records of one batch, or None."""
        row = self._connection.execute(f"{RECORDS} WHERE records = ?", (records,)).fetchone()
        return _records_row(row) if row else None

    def batch(self, batch: BatchId) -> BatchRow | None:
        """One batch, or None."""
        row = self._connection.execute(f"{BATCHES} WHERE batch = ?", (batch,)).fetchone()
        return self._batch_row(row) if row else None

    def batches(self, states: Iterable[BatchState]) -> Sequence[BatchRow]:
        """Batches in any of ``states``, oldest first."""
        wanted = list(states)
        marks = ", ".join("?" * len(wanted))
        rows = self._connection.execute(f"{BATCHES} WHERE state IN ({marks}) ORDER BY opened_seq", wanted).fetchall()
        return [self._batch_row(row) for row in rows]

    def unpublished(self, limit: int) -> Sequence[Recorded]:
        """The oldest events of the outbox."""
        rows = self._connection.execute(f"{EVENTS} JOIN outbox USING (seq) ORDER BY outbox.seq LIMIT ?", (limit,))
        return [_recorded(row) for row in rows]

    def backlog(self) -> int:
        """Number of events in the outbox."""
        return int(self._connection.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _rows_of_types(self, query: str, order: str, types: Iterable[str], **values: int) -> list[Any]:
        """Up to ``limit`` rows of each type, or of all types together when none is named."""
        wanted = list(types)
        if not wanted:
            return self._connection.execute(f"{query} {order} LIMIT :limit", values).fetchall()
        of_type = f"{query} AND type = :type {order} LIMIT :limit"
        return [row for each in wanted for row in self._connection.execute(of_type, {**values, "type": each})]

    def _batch_row(self, row: Sequence[Any]) -> BatchRow:
        batch, drop, state, opened = row
        return BatchRow(BatchId(batch), drop, BatchState(state), tally(self._connection, BatchId(batch)), opened)


def _recorded(row: Sequence[Any]) -> Recorded:
    seq, event_id, time, data = row
    return Recorded(seq, event_id, datetime.fromisoformat(time), event_from_json(data))


def _pack_row(row: Sequence[Any]) -> PackRow:
    pack, state, drop, batch, attempts, reason, detail, arrived, updated = row
    times = datetime.fromisoformat(arrived), datetime.fromisoformat(updated)
    return PackRow(PackId(pack), PackState(state), drop, BatchId(batch), attempts, reason, detail, *times)


def _records_row(row: Sequence[Any]) -> RecordsRow:
    records, state, revision, batch, alignment, attempts, reason, detail, arrived, updated = row
    times = datetime.fromisoformat(arrived), datetime.fromisoformat(updated)
    return RecordsRow(RecordsId(records), RecordsState(state), revision, BatchId(batch), alignment, attempts, reason, detail, *times)
