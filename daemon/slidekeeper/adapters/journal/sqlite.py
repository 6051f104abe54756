"""The journal's asynchronous face: writes go to the writer thread, questions to a reader thread; the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from slidekeeper.adapters.journal.reader import Reader
from slidekeeper.adapters.journal.schema import open_for_writing
from slidekeeper.adapters.journal.troubles import sorted_troubles
from slidekeeper.adapters.journal.writer import Writer
from slidekeeper.errors import Refused
from slidekeeper.messages.events import Event
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.records import RecordsId
from slidekeeper.model.run import RunId
from slidekeeper.model.staging import StagingId
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import BatchRow, PackRow, Pending, Recorded, RecordsRow, RunRow, StagingRow
from slidekeeper.workflow.states import BatchState, PackState, RecordsState, RunState, StagingState

T = TypeVar("T")


class SqliteJournal:
    """Implements :class:`slidekeeper.ports.journal.Journal` and :class:`slidekeeper.ports.journal.Outbox`.

    Every question may end in Unavailable (the state's disk is failing) or Refused (the file is damaged).
    """

    def __init__(self, reader: Reader, writer: Writer | None) -> None:
        self._reader = reader
        self._writer = writer
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="journal-reader")

    @classmethod
    def open(cls, path: Path, clock: Clock, outbox: bool) -> SqliteJournal:
        """Open for the daemon, making the file if there is none; with ``outbox`` every event is also queued for publishing.

        Raises:
            Refused: the file is damaged, no journal, or too new.
            Unavailable: the disk is full, read-only or failing.
        """
        connection = open_for_writing(path)
        return cls(Reader.beside_writer(path), Writer(connection, clock, outbox))

    @classmethod
    def open_read_only(cls, path: Path) -> SqliteJournal:
        """Open while no daemon runs; makes no file, and refuses every commit.

        Raises:
            Refused: there is no journal, or it is damaged or too new.
        """
        return cls(Reader.at_rest(path), None)

    @property
    def trouble(self) -> str:
        """Why commits wait at the moment (``disk-full``, ``read-only`` …), or an empty string."""
        return self._writer.trouble if self._writer else ""

    async def commit(self, event: Event) -> Recorded:
        """Record one event and what follows from it."""
        (recorded,) = await self._writing().submit([event])
        return recorded

    async def commit_all(self, events: Sequence[Event]) -> Sequence[Recorded]:
        """Record several events, all or none."""
        return await self._writing().submit(events)

    async def pending(self, lane: str, after: int, limit: int) -> Sequence[Pending]:
        """Commands of one lane."""
        return await self._read(self._reader.pending, lane, after, limit)

    async def events(self, after: int, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        """Events behind ``after``."""
        return await self._read(self._reader.events, after, limit, types)

    async def latest(self, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        """The newest events."""
        return await self._read(self._reader.latest, limit, types)

    async def head(self) -> int:
        """The newest ``seq``."""
        return await self._read(self._reader.head)

    async def pack(self, pack: PackId) -> PackRow | None:
        """One pack."""
        return await self._read(self._reader.pack, pack)

    async def packs(self, states: Iterable[PackState], after: str = "", limit: int = 1000) -> Sequence[PackRow]:
        """Packs in any of ``states``."""
        return await self._read(self._reader.packs, list(states), after, limit)

    async def counts(self) -> Mapping[PackState, int]:
        """Packs per state."""
        return await self._read(self._reader.counts)

    async def records(self, states: Iterable[RecordsState] = (), after: str = "", limit: int = 1000) -> Sequence[RecordsRow]:
        """Records in any of ``states``."""
        return await self._read(self._reader.records, list(states), after, limit)

    async def records_row(self, records: RecordsId) -> RecordsRow | None:
        """The records of one batch."""
        return await self._read(self._reader.records_row, records)

    async def stagings(self, states: Iterable[StagingState] = (), after: str = "", limit: int = 1000) -> Sequence[StagingRow]:
        """Stagings in any of ``states``."""
        return await self._read(self._reader.training.stagings, list(states), after, limit)

    async def staging(self, staging: StagingId) -> StagingRow | None:
        """One staging."""
        return await self._read(self._reader.training.staging, staging)

    async def staging_named(self, name: str) -> StagingRow | None:
        """The newest staging of this name."""
        return await self._read(self._reader.training.staging_named, name)

    async def runs(self, states: Iterable[RunState] = (), after: str = "", limit: int = 1000) -> Sequence[RunRow]:
        """Runs in any of ``states``."""
        return await self._read(self._reader.training.runs, list(states), after, limit)

    async def run(self, run: RunId) -> RunRow | None:
        """One run."""
        return await self._read(self._reader.training.run, run)

    async def run_counts(self) -> Mapping[RunState, int]:
        """Runs per state."""
        return await self._read(self._reader.training.run_counts)

    async def run_in(self, folder: str) -> RunRow | None:
        """The newest run in this folder."""
        return await self._read(self._reader.training.run_in, folder)

    async def batch(self, batch: BatchId) -> BatchRow | None:
        """One batch."""
        return await self._read(self._reader.batch, batch)

    async def batches(self, states: Iterable[BatchState]) -> Sequence[BatchRow]:
        """Batches in any of ``states``."""
        return await self._read(self._reader.batches, list(states))

    async def unpublished(self, limit: int) -> Sequence[Recorded]:
        """The oldest events of the outbox."""
        return await self._read(self._reader.unpublished, limit)

    async def published(self, seq: int) -> None:
        """Forget outbox rows up to ``seq``."""
        await self._writing().submit((), published=seq)

    async def backlog(self) -> int:
        """Number of events in the outbox."""
        return await self._read(self._reader.backlog)

    async def close(self) -> None:
        """Commit what was handed in, fold the log into the database, and close."""
        # SQLite folds the log in when the last connection closes, and only if that one may write.
        await self._read(self._reader.close)
        self._reading.shutdown()
        if self._writer:
            await asyncio.to_thread(self._writer.close)

    def _writing(self) -> Writer:
        if self._writer is None:
            raise Refused("journal-read-only", "this journal was opened for reading")
        return self._writer

    async def _read(self, question: Callable[..., T], *arguments: Any) -> T:
        with sorted_troubles():
            return await asyncio.get_running_loop().run_in_executor(self._reading, question, *arguments)
