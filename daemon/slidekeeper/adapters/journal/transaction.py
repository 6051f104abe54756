"""One event within a transaction: decide, record, move its subject, count, and complete the batch if that was its last pack."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, TypeAlias

from slidekeeper.adapters.journal.training import insert_run, insert_staging, note_run, note_staging
from slidekeeper.messages.commands import command_to_json
from slidekeeper.messages.events import (
    AnyBatchEvent,
    AnyPackEvent,
    AnyRecordsEvent,
    AnyRunEvent,
    AnyStagingEvent,
    AnyStepEvent,
    BatchEvent,
    BatchOpened,
    Event,
    PackArrived,
    PackEvent,
    PackQuarantined,
    PackStuck,
    RecordsAligned,
    RecordsArrived,
    RecordsEvent,
    RecordsFailed,
    RecordsQuarantined,
    RecordsSettled,
    RunAppeared,
    RunEvent,
    RunFailed,
    RunFinished,
    RunQuarantined,
    RunReleased,
    StagingEvent,
    StagingFailed,
    StagingOrdered,
    StagingQuarantined,
    StepFailed,
    event_to_json,
)
from slidekeeper.model.identity import BatchId
from slidekeeper.ports.journal import Recorded
from slidekeeper.workflow.batches import completion
from slidekeeper.workflow.states import UNDER_WAY, BatchState, PackState, RecordsState, RunState, StagingState
from slidekeeper.workflow.table import Decision, decide, decide_batch, decide_records, decide_run, decide_staging

ALL_BATCHES = BatchId("")
"""The tally under this id counts the packs of all batches."""


AnyDecision: TypeAlias = Decision[PackState] | Decision[RecordsState] | Decision[StagingState] | Decision[RunState]


class Rows(NamedTuple):
    """The table that holds the states of one kind of subject."""

    table: str
    key: str


PACKS = Rows("packs", "pack")
RECORDS = Rows("records", "records")
STAGINGS = Rows("stagings", "staging")
RUNS = Rows("runs", "run")
FAILURES = (StepFailed, RecordsFailed, StagingFailed, RunFailed)
"""Events that count as an attempt."""
SUBJECTS = (PACKS, RECORDS, STAGINGS, RUNS)
"""All that have a state and a next command."""


class Transaction:
    """Records events on a connection whose transaction is open."""

    def __init__(self, connection: sqlite3.Connection, outbox: bool) -> None:
        self._execute = connection.execute
        self._connection = connection
        self._outbox = outbox

    def record(self, event: Event, now: datetime) -> Recorded:
        """Record ``event`` and everything that follows from it.

        Raises:
            UndefinedTransition: the table has no row for it; the caller rolls back.
        """
        match event:
            case PackEvent():
                return self._record_of_pack(event, now)
            case BatchEvent():
                return self._record_of_batch(event, now)
            case RecordsEvent():
                return self._record_of_records(event, now)
            case StagingEvent():
                return self._record_of_staging(event, now)
            case RunEvent():
                return self._record_of_run(event, now)
            case _:
                return self._append(event, now)

    def _append(self, event: Event, now: datetime) -> Recorded:
        event_id = uuid.uuid4().hex
        cursor = self._execute(
            "INSERT INTO events (id, time, type, subject, data) VALUES (?, ?, ?, ?, ?)",
            (event_id, now.isoformat(), event.type, event.subject, event_to_json(event).decode()),
        )
        seq = cursor.lastrowid or 0
        if self._outbox:
            self._execute("INSERT INTO outbox (seq) VALUES (?)", (seq,))
        return Recorded(seq, event_id, now, event)

    def _record_of_pack(self, event: AnyPackEvent, now: datetime) -> Recorded:
        row = self._execute("SELECT state, batch FROM packs WHERE pack = ?", (event.pack,)).fetchone()
        before = PackState(row[0]) if row else PackState.NEW
        decision = decide(before, event)
        recorded = self._append(event, now)
        if isinstance(event, PackArrived):
            self._insert(event, recorded)
        self._advance(PACKS, event, decision, recorded)
        if decision.state is not before:
            batch = event.batch if isinstance(event, PackArrived) else BatchId(row[1])
            self._count(batch, before, decision.state)
            if decision.state not in UNDER_WAY:
                self._complete(batch, now)
        return replace(recorded, ordered=decision.command.type) if decision.command else recorded

    def _insert(self, event: PackArrived, recorded: Recorded) -> None:
        time = recorded.time.isoformat()
        self._execute(
            "INSERT INTO packs (pack, state, drop_name, batch, attempts, reason, detail, arrived, updated) "
            "VALUES (?, ?, ?, ?, 0, '', '', ?, ?)",
            (event.pack, PackState.NEW, event.drop, event.batch, time, time),
        )

    def _record_of_records(self, event: AnyRecordsEvent, now: datetime) -> Recorded:
        row = self._execute("SELECT state FROM records WHERE records = ?", (event.records,)).fetchone()
        decision = decide_records(RecordsState(row[0]) if row else RecordsState.NEW, event)
        recorded = self._append(event, now)
        if row is None:
            fresh = (event.records, RecordsState.NEW, recorded.time.isoformat(), recorded.time.isoformat())
            self._execute(
                "INSERT INTO records (records, state, revision, batch, alignment, attempts, reason, detail, arrived, updated) "
                "VALUES (?, ?, 0, '', 0, 0, '', '', ?, ?)",
                fresh,
            )
        self._advance(RECORDS, event, decision, recorded)
        self._note_revision(event)
        return replace(recorded, ordered=decision.command.type) if decision.command else recorded

    def _record_of_staging(self, event: AnyStagingEvent, now: datetime) -> Recorded:
        row = self._execute("SELECT state FROM stagings WHERE staging = ?", (event.staging,)).fetchone()
        decision = decide_staging(StagingState(row[0]) if row else StagingState.NEW, event)
        recorded = self._append(event, now)
        if isinstance(event, StagingOrdered):
            insert_staging(self._connection, event, recorded)
        self._advance(STAGINGS, event, decision, recorded)
        note_staging(self._connection, event)
        return replace(recorded, ordered=decision.command.type) if decision.command else recorded

    def _record_of_run(self, event: AnyRunEvent, now: datetime) -> Recorded:
        row = self._execute("SELECT state FROM runs WHERE run = ?", (event.run,)).fetchone()
        decision = decide_run(RunState(row[0]) if row else RunState.NEW, event)
        recorded = self._append(event, now)
        if row is None and isinstance(event, (RunAppeared, RunFinished)):
            insert_run(self._connection, event, recorded)
        self._advance(RUNS, event, decision, recorded)
        note_run(self._connection, event)
        return replace(recorded, ordered=decision.command.type) if decision.command else recorded

    def _note_revision(self, event: AnyRecordsEvent) -> None:
        """Keep what the row shows of the revision that is under way."""
        match event:
            case RecordsArrived():
                self._execute("UPDATE records SET revision = ?, alignment = 0 WHERE records = ?", (event.revision, event.records))
            case RecordsSettled():
                self._execute("UPDATE records SET batch = ? WHERE records = ?", (event.batch, event.records))
            case RecordsAligned():
                self._execute("UPDATE records SET alignment = ? WHERE records = ?", (event.facts.alignment, event.records))

    def _advance(self, rows: Rows, event: AnyStepEvent, decision: AnyDecision, recorded: Recorded) -> None:
        if decision.repeats:
            self._repeat(rows, event, recorded)
        else:
            self._move(rows, event, decision, recorded)

    def _move(self, rows: Rows, event: AnyStepEvent, decision: AnyDecision, recorded: Recorded) -> None:
        """Bring the subject into its next state and lane; only what holds it there now is shown as the reason."""
        command = decision.command
        ordered = (command.type, recorded.seq, command_to_json(command).decode()) if command else (None, None, None)
        self._execute(
            f"UPDATE {rows.table} SET state = ?, lane = ?, lane_seq = ?, command = ?, attempts = 0, reason = ?, detail = ?, updated = ? "  # noqa: S608 - our own names
            f"WHERE {rows.key} = ?",
            (decision.state, *ordered, *_reason(event), recorded.time.isoformat(), event.subject),
        )

    def _repeat(self, rows: Rows, event: AnyStepEvent, recorded: Recorded) -> None:
        """The pending command stays; the row shows why it was not carried out yet."""
        self._execute(
            f"UPDATE {rows.table} SET attempts = attempts + ?, reason = ?, detail = ?, updated = ? WHERE {rows.key} = ?",  # noqa: S608 - our own names
            (isinstance(event, FAILURES), *_reason(event), recorded.time.isoformat(), event.subject),
        )

    def _count(self, batch: BatchId, before: PackState, after: PackState) -> None:
        changes = [(counted, after, +1) for counted in (batch, ALL_BATCHES)]
        if before is not PackState.NEW:
            changes += [(counted, before, -1) for counted in (batch, ALL_BATCHES)]
        upsert = "INSERT INTO tallies VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET packs = packs + excluded.packs"
        self._connection.executemany(upsert, changes)

    def _record_of_batch(self, event: AnyBatchEvent, now: datetime) -> Recorded:
        row = self._execute("SELECT state FROM batches WHERE batch = ?", (event.batch,)).fetchone()
        after = decide_batch(BatchState(row[0]) if row else BatchState.NEW, event)
        recorded = self._append(event, now)
        if isinstance(event, BatchOpened):
            self._execute("INSERT INTO batches VALUES (?, ?, ?, ?)", (event.batch, event.drop, after, recorded.seq))
        else:
            self._execute("UPDATE batches SET state = ? WHERE batch = ?", (after, event.batch))
        if after is BatchState.CLOSED:
            self._complete(event.batch, now)
        return recorded

    def _complete(self, batch: BatchId, now: datetime) -> None:
        """Record the batch's completion if nothing of it is under way any more."""
        row = self._execute("SELECT state FROM batches WHERE batch = ?", (batch,)).fetchone()
        completed = completion(batch, BatchState(row[0]), tally(self._connection, batch)) if row else None
        if completed:
            self._record_of_batch(completed, now)


def tally(connection: sqlite3.Connection, batch: BatchId) -> Mapping[PackState, int]:
    """Number of a batch's packs per state, or of all packs (:data:`ALL_BATCHES`)."""
    rows = connection.execute("SELECT state, packs FROM tallies WHERE batch = ? AND packs > 0", (batch,))
    return {PackState(state): packs for state, packs in rows}


def _reason(event: AnyStepEvent) -> tuple[str, str]:
    """Reason and detail that the subject's row shows after this event."""
    match event:
        case PackQuarantined() | RecordsQuarantined() | StagingQuarantined() | RunQuarantined() | PackStuck() | RunReleased():
            return event.reason, getattr(event, "detail", "")
        case StepFailed() | RecordsFailed() | StagingFailed() | RunFailed():
            return event.reason, event.detail
        case _:
            return "", ""
