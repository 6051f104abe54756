"""The journal: the durable truth of what happened, and of what is to be done next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from slidekeeper.messages.commands import Command
from slidekeeper.messages.events import Event
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.records import RecordsId
from slidekeeper.model.run import DoneMarker, MarkerIdentity, RunId, RunPlace
from slidekeeper.model.staging import Cohort, StagingFacts, StagingId
from slidekeeper.model.version import VersionFacts
from slidekeeper.workflow.states import BatchState, PackState, RecordsState, RunState, StagingState


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the journal holds it. ``seq`` grows by commit order; ``id`` is the CloudEvents id."""

    seq: int
    id: str
    time: datetime
    event: Event
    ordered: str = field(default="", compare=False)
    """The lane whose command follows from it, as the commit tells; what is read back later does not say."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A command that is to be carried out, with the number of failed attempts so far."""

    seq: int
    subject: str
    """The id of the pack, records, staging or run that it is about."""
    command: Command
    attempts: int


@dataclass(frozen=True, slots=True)
class PackRow:
    """One pack's state as operators see it."""

    pack: PackId
    state: PackState
    drop: str
    batch: BatchId
    attempts: int
    reason: str
    detail: str
    arrived: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch's state and its packs per state."""

    batch: BatchId
    drop: str
    state: BatchState
    counts: Mapping[PackState, int]
    opened: int = 0
    """The ``seq`` of the event that opened it."""


@dataclass(frozen=True, slots=True)
class RecordsRow:
    """The state of one batch's records as operators see it."""

    records: RecordsId
    state: RecordsState
    revision: int
    batch: BatchId
    """Empty until its images are complete."""
    alignment: int
    """Number of the newest alignment of this revision, 0 before the first."""
    attempts: int
    reason: str
    detail: str
    arrived: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class StagingRow:
    """The state of one staging as researchers see it."""

    staging: StagingId
    state: StagingState
    name: str
    tier: str
    by: str
    cohort: Cohort
    facts: StagingFacts | None
    """None until it is complete."""
    attempts: int
    reason: str
    detail: str
    ordered: datetime
    updated: datetime


@dataclass(frozen=True, slots=True)
class RunRow:
    """The state of one training run as researchers see it."""

    run: RunId
    state: RunState
    place: RunPlace
    marker: DoneMarker | None
    """None while it is being trained."""
    facts: VersionFacts | None
    """The newest version that it became, or None."""
    attempts: int
    reason: str
    detail: str
    appeared: datetime
    updated: datetime
    seen: MarkerIdentity | None = None
    """The done-marker that was taken up last, or None."""


class Journal(Protocol):
    """Event, state, next command and outbox row are committed together, durably, in one transaction.

    Decisions are taken inside that transaction with the workflow's pure functions, so that two events about one pack can
    never both be decided on the same old state.
    """

    async def commit(self, event: Event) -> Recorded:
        """Record ``event`` and what follows from it; returns when it is durable.

        Waits for as long as the state's disk is full (see :attr:`trouble`).

        Raises:
            UndefinedTransition: the workflow table has no row; nothing was recorded.
        """
        ...

    async def commit_all(self, events: Sequence[Event]) -> Sequence[Recorded]:
        """Record several events in order, all or none."""
        ...

    async def pending(self, lane: str, after: int, limit: int) -> Sequence[Pending]:
        """Commands of one lane (the command's ``type``) whose ``seq`` is greater than ``after``, oldest first."""
        ...

    async def events(self, after: int, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        """Events with ``seq`` greater than ``after``, oldest first; all types when ``types`` is empty."""
        ...

    async def latest(self, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        """The newest events, oldest first; all types when ``types`` is empty."""
        ...

    async def head(self) -> int:
        """The newest ``seq``, 0 for an empty journal."""
        ...

    async def pack(self, pack: PackId) -> PackRow | None:
        """One pack, or None."""
        ...

    async def packs(self, states: Iterable[PackState], after: str = "", limit: int = 1000) -> Sequence[PackRow]:
        """Packs in any of ``states`` with an id greater than ``after``, by id."""
        ...

    async def counts(self) -> Mapping[PackState, int]:
        """Number of packs per state."""
        ...

    async def records(self, states: Iterable[RecordsState] = (), after: str = "", limit: int = 1000) -> Sequence[RecordsRow]:
        """Records in any of ``states`` (of all, when empty) with an id greater than ``after``, by id."""
        ...

    async def records_row(self, records: RecordsId) -> RecordsRow | None:
        """The records of one batch, or None."""
        ...

    async def stagings(self, states: Iterable[StagingState] = (), after: str = "", limit: int = 1000) -> Sequence[StagingRow]:
        """Stagings in any of ``states`` (of all, when empty) with an id greater than ``after``, by id."""
        ...

    async def staging(self, staging: StagingId) -> StagingRow | None:
        """One staging, or None."""
        ...

    async def staging_named(self, name: str) -> StagingRow | None:
        """The newest staging of this name, or None."""
        ...

    async def runs(self, states: Iterable[RunState] = (), after: str = "", limit: int = 1000) -> Sequence[RunRow]:
        """Runs in any of ``states`` (of all, when empty) with an id greater than ``after``, by id."""
        ...

    async def run_counts(self) -> Mapping[RunState, int]:
        """Number of runs per state."""
        ...

    async def run(self, run: RunId) -> RunRow | None:
        """One run, or None."""
        ...

    async def run_in(self, folder: str) -> RunRow | None:
        """The newest run that writes, or wrote, in this folder, or None."""
        ...

    async def batch(self, batch: BatchId) -> BatchRow | None:
        """One batch with its packs per state, or None."""
        ...

    async def batches(self, states: Iterable[BatchState]) -> Sequence[BatchRow]:
        """Batches in any of ``states``, oldest first."""
        ...

    @property
    def trouble(self) -> str:
        """Why commits wait at the moment (``disk-full``, ``read-only`` …), or an empty string."""
        ...

    async def close(self) -> None:
        """Commit what was handed in and close."""
        ...


class Outbox(Protocol):
    """Events that wait to be published, in order; an event leaves it when the broker has acknowledged it."""

    async def unpublished(self, limit: int) -> Sequence[Recorded]:
        """The oldest unpublished events."""
        ...

    async def published(self, seq: int) -> None:
        """Forget every outbox row up to and including ``seq``."""
        ...

    async def backlog(self) -> int:
        """Number of unpublished events."""
        ...
