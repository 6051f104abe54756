"""One event within a transaction: decide, record, move the pack or batch, count, and complete the batch if that was its last pack."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping
from datetime import datetime

from slidekeeper.messages.commands import command_to_json
from slidekeeper.messages.events import (
    AnyBatchEvent,
    BatchClosed,
    BatchCompleted,
    BatchEvent,
    BatchOpened,
    Event,
    PackArrived,
    PackEvent,
    PackQuarantined,
    PackStuck,
    StepFailed,
    event_to_json,
)
from slidekeeper.model.identity import BatchId
from slidekeeper.ports.journal import Recorded
from slidekeeper.workflow.batches import completion
from slidekeeper.workflow.states import UNDER_WAY, BatchState, PackState
from slidekeeper.workflow.table import decide, decide_batch


class Transaction:
    """Records events on a connection whose transaction is open."""

    def __init__(self, connection: sqlite3.Connection, outbox: bool) -> None:
        self._connection = connection
        self._outbox = outbox

    def record(self, event: Event, now: datetime) -> Recorded:
        """Record ``event`` and everything that follows from it.

        Raises:
            UndefinedTransition: the table has no row for it; the caller rolls back.
        """
        match event:
            case PackEvent():
                return self._pack_event(event, now)
            case BatchEvent():
                return self._batch_event(event, now)
            case _:
                return self._append(event, now)

    def _append(self, event: Event, now: datetime) -> Recorded:
        recorded_id = uuid.uuid4().hex
        cursor = self._connection.execute(
            "INSERT INTO events (id, time, type, subject, data) VALUES (?, ?, ?, ?, ?)",
            (recorded_id, now.isoformat(), event.type, event.subject, event_to_json(event).decode()),
        )
        seq = cursor.lastrowid or 0
        if self._outbox:
            self._connection.execute("INSERT INTO outbox (seq) VALUES (?)", (seq,))
        return Recorded(seq, recorded_id, now, event)

    def _pack_event(self, event: PackEvent, now: datetime) -> Recorded:
        row = self._connection.execute("SELECT state, batch FROM packs WHERE pack = ?", (event.pack,)).fetchone()
        before = PackState(row[0]) if row else PackState.NEW
        decision = decide(before, event)  # type: ignore[arg-type]
        recorded = self._append(event, now)  # type: ignore[arg-type]
        if isinstance(event, PackArrived):
            self._insert_pack(event, recorded)
            batch = event.batch
        else:
            batch = row[1]
        if not decision.repeats:
            command = decision.command
            self._connection.execute(
                "UPDATE packs SET state = ?, lane = ?, lane_seq = ?, command = ?, attempts = 0, reason = '', detail = '', updated = ? WHERE pack = ?",
                (
                    decision.state,
                    command.type if command else None,
                    recorded.seq if command else None,
                    command_to_json(command).decode() if command else None,
                    now.isoformat(),
                    event.pack,
                ),
            )
        self._explain(event, now)
        self._count(batch, before, decision.state, now)
        return recorded

    def _insert_pack(self, event: PackArrived, recorded: Recorded) -> None:
        time = recorded.time.isoformat()
        self._connection.execute(
            "INSERT INTO packs (pack, state, drop_name, batch, arrived, updated) VALUES (?, ?, ?, ?, ?, ?)",
            (event.pack, PackState.NEW, event.drop, event.batch, time, time),
        )

    def _explain(self, event: PackEvent, now: datetime) -> None:
        """Show on the pack's row why it does not move."""
        if isinstance(event, PackQuarantined | StepFailed | PackStuck):
            self._connection.execute(
                "UPDATE packs SET reason = ?, detail = ?, attempts = attempts + ?, updated = ? WHERE pack = ?",
                (event.reason, event.detail, isinstance(event, StepFailed), now.isoformat(), event.pack),
            )

    def _count(self, batch: BatchId, before: PackState, after: PackState, now: datetime) -> None:
        if before is after:
            return
        for state, change in ((before, -1), (after, +1)):
            if state is not PackState.NEW:
                self._connection.execute(
                    "INSERT INTO tallies VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET packs = packs + excluded.packs", (batch, state, change)
                )
                self._connection.execute("INSERT INTO totals VALUES (?, ?) ON CONFLICT DO UPDATE SET packs = packs + excluded.packs", (state, change))
        if after not in UNDER_WAY:
            self._complete(batch, now)

    def _batch_event(self, event: BatchEvent, now: datetime) -> Recorded:
        row = self._connection.execute("SELECT state FROM batches WHERE batch = ?", (event.batch,)).fetchone()
        before = BatchState(row[0]) if row else BatchState.NEW
        after = decide_batch(before, event)  # type: ignore[arg-type]
        recorded = self._append(event, now)  # type: ignore[arg-type]
        if isinstance(event, BatchOpened):
            self._connection.execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (event.batch, event.drop, after, recorded.seq))
        else:
            self._connection.execute("UPDATE batches SET state = ? WHERE batch = ?", (after, event.batch))
        if isinstance(event, BatchClosed):
            self._complete(event.batch, now)
        return recorded

    def _complete(self, batch: BatchId, now: datetime) -> None:
        row = self._connection.execute("SELECT state FROM batches WHERE batch = ?", (batch,)).fetchone()
        if row is None or row[0] != BatchState.CLOSED:
            return
        completed: AnyBatchEvent | None = completion(batch, BatchState.CLOSED, tally(self._connection, batch))
        if isinstance(completed, BatchCompleted):
            self._batch_event(completed, now)


def tally(connection: sqlite3.Connection, batch: BatchId) -> Mapping[PackState, int]:
    """Number of a batch's packs per state."""
    rows = connection.execute("SELECT state, packs FROM tallies WHERE batch = ? AND packs > 0", (batch,))
    return {PackState(state): packs for state, packs in rows}
