"""The rows of stagings and training runs: how an event changes them, and how they are read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from slidekeeper.messages.events import (
    RunAppeared,
    RunEvent,
    RunFinished,
    RunProtected,
    RunQuarantined,
    StagingCompleted,
    StagingEvent,
    StagingOrdered,
)
from slidekeeper.model.run import DoneMarker, MarkerIdentity, RunId, RunPlace
from slidekeeper.model.staging import Cohort, StagingFacts, StagingId
from slidekeeper.model.version import VersionFacts
from slidekeeper.ports.journal import Recorded, RunRow, StagingRow
from slidekeeper.workflow.states import RunState, StagingState

STAGINGS = "SELECT staging, state, name, tier, ordered_by, cohort, facts, attempts, reason, detail, ordered, updated FROM stagings"
RUNS = "SELECT run, state, place, marker, facts, attempts, reason, detail, appeared, updated, seen FROM runs"


def insert_staging(connection: sqlite3.Connection, event: StagingOrdered, recorded: Recorded) -> None:
    """The row of a staging that was just ordered."""
    time = recorded.time.isoformat()
    connection.execute(
        "INSERT INTO stagings (staging, state, name, tier, ordered_by, cohort, attempts, reason, detail, ordered, updated) "
        "VALUES (?, ?, ?, ?, ?, ?, 0, '', '', ?, ?)",
        (event.staging, StagingState.NEW, event.name, event.tier, event.by, event.cohort.model_dump_json(), time, time),
    )


def insert_run(connection: sqlite3.Connection, event: RunAppeared | RunFinished, recorded: Recorded) -> None:
    """The row of a run that was just seen."""
    time = recorded.time.isoformat()
    connection.execute(
        "INSERT INTO runs (run, state, project, folder, place, attempts, reason, detail, appeared, updated) "
        "VALUES (?, ?, ?, ?, ?, 0, '', '', ?, ?)",
        (event.run, RunState.NEW, event.place.project, event.place.folder, event.place.model_dump_json(), time, time),
    )


def note_staging(connection: sqlite3.Connection, event: StagingEvent) -> None:
    """Keep what the row shows of a complete copy."""
    if isinstance(event, StagingCompleted):
        connection.execute("UPDATE stagings SET facts = ? WHERE staging = ?", (event.facts.model_dump_json(), event.staging))


def note_run(connection: sqlite3.Connection, event: RunEvent) -> None:
    """Keep what the run said of itself, by which file, and the version it became."""
    if isinstance(event, (RunFinished, RunQuarantined)) and event.seen:
        connection.execute("UPDATE runs SET seen = ? WHERE run = ?", (event.seen.model_dump_json(), event.run))
    match event:
        case RunFinished():
            connection.execute("UPDATE runs SET marker = ? WHERE run = ?", (event.marker.model_dump_json(), event.run))
        case RunProtected():
            connection.execute("UPDATE runs SET facts = ? WHERE run = ?", (event.facts.model_dump_json(), event.run))


class TrainingReader:
    """Questions about stagings and runs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def stagings(self, states: Iterable[StagingState], after: str, limit: int) -> Sequence[StagingRow]:
        """Stagings in any of ``states``, by id; in all when none is named."""
        query = f"{STAGINGS} WHERE state = ? AND staging > ? ORDER BY staging LIMIT ?"
        wanted = list(states) or list(StagingState)
        rows = [row for state in wanted for row in self._connection.execute(query, (state, after, limit))]
        return [_staging_row(row) for row in sorted(rows, key=_by_id)[:limit]]

    def staging(self, staging: StagingId) -> StagingRow | None:
        """One staging, or None."""
        row = self._connection.execute(f"{STAGINGS} WHERE staging = ?", (staging,)).fetchone()
        return _staging_row(row) if row else None

    def staging_named(self, name: str) -> StagingRow | None:
        """The newest staging of this name, or None."""
        row = self._connection.execute(f"{STAGINGS} WHERE name = ? ORDER BY rowid DESC LIMIT 1", (name,)).fetchone()
        return _staging_row(row) if row else None

    def runs(self, states: Iterable[RunState], after: str, limit: int) -> Sequence[RunRow]:
        """Runs in any of ``states``, by id; in all when none is named."""
        query = f"{RUNS} WHERE state = ? AND run > ? ORDER BY run LIMIT ?"
        wanted = list(states) or list(RunState)
        rows = [row for state in wanted for row in self._connection.execute(query, (state, after, limit))]
        return [_run_row(row) for row in sorted(rows, key=_by_id)[:limit]]

    def run(self, run: RunId) -> RunRow | None:
        """One run, or None."""
        row = self._connection.execute(f"{RUNS} WHERE run = ?", (run,)).fetchone()
        return _run_row(row) if row else None

    def run_counts(self) -> Mapping[RunState, int]:
        """Runs per state."""
        return {RunState(state): count for state, count in self._connection.execute("SELECT state, count(*) FROM runs GROUP BY state")}

    def run_in(self, folder: str) -> RunRow | None:
        """The newest run that writes, or wrote, in this folder, or None."""
        row = self._connection.execute(f"{RUNS} WHERE folder = ? ORDER BY rowid DESC LIMIT 1", (folder,)).fetchone()
        return _run_row(row) if row else None


def _by_id(row: Sequence[Any]) -> str:
    return str(row[0])


def _staging_row(row: Sequence[Any]) -> StagingRow:
    staging, state, name, tier, by, cohort, facts, attempts, reason, detail, ordered, updated = row
    return StagingRow(
        StagingId(staging),
        StagingState(state),
        name,
        tier,
        by,
        Cohort.model_validate_json(cohort),
        StagingFacts.model_validate_json(facts) if facts else None,
        attempts,
        reason,
        detail,
        datetime.fromisoformat(ordered),
        datetime.fromisoformat(updated),
    )


def _run_row(row: Sequence[Any]) -> RunRow:
    run, state, place, marker, facts, attempts, reason, detail, appeared, updated, seen = row
    return RunRow(
        RunId(run),
        RunState(state),
        RunPlace.model_validate_json(place),
        DoneMarker.model_validate_json(marker) if marker else None,
        VersionFacts.model_validate_json(facts) if facts else None,
        attempts,
        reason,
        detail,
        datetime.fromisoformat(appeared),
        datetime.fromisoformat(updated),
        MarkerIdentity.model_validate_json(seen) if seen else None,
    )
