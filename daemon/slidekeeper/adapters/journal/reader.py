"""Questions to the journal, on a connection that cannot write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from slidekeeper.adapters.journal.transaction import tally
from slidekeeper.messages.commands import command_from_json
from slidekeeper.messages.events import event_from_json
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.ports.journal import BatchRow, PackRow, Pending, Recorded
from slidekeeper.workflow.states import BatchState, PackState

EVENT_COLUMNS = "seq, id, time, data"
PACK_COLUMNS = "pack, state, drop_name, batch, attempts, reason, detail, arrived, updated"


class Reader:
    """Synchronous; called from one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def pending(self, lane: str, after: int, limit: int) -> Sequence[Pending]:
        """See :class:`slidekeeper.ports.journal.Journal`; so for every method here."""
        rows = self._connection.execute(
            "SELECT lane_seq, pack, command, attempts FROM packs WHERE lane = ? AND lane_seq > ? ORDER BY lane_seq LIMIT ?", (lane, after, limit)
        )
        return [Pending(seq, PackId(pack), command_from_json(command), attempts) for seq, pack, command, attempts in rows]

    def events(self, after: int, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        """Events behind ``after``, oldest first."""
        condition, wanted = _of_types(types)
        rows = self._connection.execute(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE seq > ?{condition} ORDER BY seq LIMIT ?",  # noqa: S608 - constants and placeholders only
            (after, *wanted, limit),
        )
        return [_recorded(row) for row in rows]

    def latest(self, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        """The newest events, oldest first."""
        condition, wanted = _of_types(types)
        rows = self._connection.execute(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE seq > 0{condition} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - constants and placeholders only
            (*wanted, limit),
        )
        return [_recorded(row) for row in rows][::-1]

    def head(self) -> int:
        """The newest ``seq``."""
        return int(self._connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def pack(self, pack: PackId) -> PackRow | None:
        """One pack, or None."""
        row = self._connection.execute(f"SELECT {PACK_COLUMNS} FROM packs WHERE pack = ?", (pack,)).fetchone()  # noqa: S608 - constants only
        return _pack_row(row) if row else None

    def packs(self, states: Iterable[PackState], after: str, limit: int) -> Sequence[PackRow]:
        """Packs in any of ``states``, by id."""
        wanted = [state.value for state in states]
        marks = ", ".join("?" * len(wanted))
        rows = self._connection.execute(
            f"SELECT {PACK_COLUMNS} FROM packs WHERE state IN ({marks}) AND pack > ? ORDER BY pack LIMIT ?",  # noqa: S608 - placeholders only
            (*wanted, after, limit),
        )
        return [_pack_row(row) for row in rows]

    def counts(self) -> Mapping[PackState, int]:
        """Packs per state."""
        return {PackState(state): packs for state, packs in self._connection.execute("SELECT state, packs FROM totals WHERE packs > 0")}

    def batch(self, batch: BatchId) -> BatchRow | None:
        """One batch, or None."""
        row = self._connection.execute("SELECT batch, drop_name, state FROM batches WHERE batch = ?", (batch,)).fetchone()
        return self._batch_row(row) if row else None

    def batches(self, states: Iterable[BatchState]) -> Sequence[BatchRow]:
        """Batches in any of ``states``, oldest first."""
        wanted = [state.value for state in states]
        marks = ", ".join("?" * len(wanted))
        rows = self._connection.execute(
            f"SELECT batch, drop_name, state FROM batches WHERE state IN ({marks}) ORDER BY opened_seq",  # noqa: S608 - placeholders only
            wanted,
        ).fetchall()
        return [self._batch_row(row) for row in rows]

    def unpublished(self, limit: int) -> Sequence[Recorded]:
        """The oldest events of the outbox."""
        rows = self._connection.execute(
            "SELECT e.seq, e.id, e.time, e.data FROM outbox JOIN events e ON e.seq = outbox.seq ORDER BY outbox.seq LIMIT ?", (limit,)
        )
        return [_recorded(row) for row in rows]

    def backlog(self) -> int:
        """Number of events in the outbox."""
        return int(self._connection.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _batch_row(self, row: Sequence[Any]) -> BatchRow:
        batch, drop, state = row
        return BatchRow(BatchId(batch), drop, BatchState(state), tally(self._connection, BatchId(batch)))


def _of_types(types: Iterable[str]) -> tuple[str, list[str]]:
    wanted = list(types)
    return (f" AND type IN ({', '.join('?' * len(wanted))})" if wanted else ""), wanted


def _recorded(row: Sequence[Any]) -> Recorded:
    seq, event_id, time, data = row
    return Recorded(seq, event_id, datetime.fromisoformat(time), event_from_json(data))


def _pack_row(row: Sequence[Any]) -> PackRow:
    pack, state, drop, batch, attempts, reason, detail, arrived, updated = row
    times = datetime.fromisoformat(arrived), datetime.fromisoformat(updated)
    return PackRow(PackId(pack), PackState(state), drop, BatchId(batch), attempts, reason, detail, *times)
