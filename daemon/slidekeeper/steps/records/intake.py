"""Watches the records folder: files become a batch's records once all are there and quiet, and the batch's images are complete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from slidekeeper.errors import SlidekeeperError, Unavailable, UndefinedTransition
from slidekeeper.messages.events import AnyRecordsEvent, RecordsArrived, RecordsSettled
from slidekeeper.model.contract import Contract
from slidekeeper.model.phi import RecordsFiles, RelativePath, SourceFile
from slidekeeper.model.records import RecordsId, new_records_id
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.deliveries import KnownRecords
from slidekeeper.ports.drop import Drop, Hints, Sighting
from slidekeeper.ports.journal import BatchRow, Journal, RecordsRow
from slidekeeper.settings.sections import RecordsSettings
from slidekeeper.steps.records.assembly import delivered, lacking
from slidekeeper.workflow.states import BatchState, RecordsState

log = structlog.get_logger(__name__)

AT_REST = frozenset({RecordsState.ALIGNED, RecordsState.QUARANTINED})
"""States in which other files mean a new delivery."""


@dataclass(frozen=True, slots=True)
class WatchedRecords:
    """The records folder with all that watches it."""

    drop: Drop
    list_files: Callable[[], Sequence[Sighting]]
    hints: Hints
    settings: RecordsSettings
    contracts: Mapping[str, Contract]


@dataclass(slots=True)
class Quiet:
    """Since when a delivery's files have been what they are."""

    files: Sequence[SourceFile]
    since: float
    looks: int = 1


class RecordsIntake:
    """Observes the records folder."""

    def __init__(
        self,
        watched: WatchedRecords,
        known: KnownRecords,
        journal: Journal,
        report: Callable[[AnyRecordsEvent], Awaitable[object]],
        suspend: Callable[[Unavailable], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._watched = watched
        self._known = known
        self._journal = journal
        self._report = report
        self._suspend = suspend
        self._clock = clock
        self._quiet: dict[bytes, Quiet] = {}
        self._woken = asyncio.Event()
        self.away = ""
        """Why the folder is unavailable, or an empty string."""
        self.waiting: dict[RecordsId, str] = {}
        """What deliveries that have not settled wait for, by code."""

    async def run(self) -> None:
        """Watch for ever; an unavailable folder is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_hints())
            while True:
                try:
                    await self._arrive()
                    await self.look()
                except Unavailable as away:
                    self.away = away.reason
                    await self._suspend(away)
                except SlidekeeperError as trouble:
                    log.warning("records not seen", reason=trouble.reason, detail=trouble.detail)
                await self._sleep()

    async def look(self) -> None:
        """Reconcile the whole folder; it holds some hundred files, never millions."""
        sightings = await asyncio.to_thread(self._watched.list_files)
        deliveries = delivered(sightings, self._watched.contracts)
        self._quiet = {folder: quiet for folder, quiet in self._quiet.items() if folder in deliveries}
        for folder, files in deliveries.items():
            with suppress(UndefinedTransition):  # a step was quicker; the next look sees what it did
                await self._consider(folder, files)

    async def _arrive(self) -> None:
        await asyncio.to_thread(self._watched.drop.check_available)
        deaf = await asyncio.to_thread(self._watched.hints.is_deaf)
        if self.away or deaf or self._watched.hints.watches() is None:
            await asyncio.to_thread(self._watched.hints.start)
        self.away = ""

    async def _consider(self, folder: bytes, files: Sequence[SourceFile]) -> None:
        known = await self._known.in_folder(folder)
        row = await self._journal.records_row(known.records) if known else None
        if known is None or row is None:
            records = known.records if known else new_records_id()
            await self._arrived(RecordsFiles(records, 1, RelativePath(folder), tuple(files)))
        elif row.state is RecordsState.ARRIVED:
            await self._settle(known, files)
        elif row.state in AT_REST and tuple(files) != known.files and not lacking(files, self._watched.contracts):
            await self._arrived(replace(known, files=tuple(files), revision=self._next_revision(row)))

    @staticmethod
    def _next_revision(row: RecordsRow) -> int:
        """Corrected files are a revision of their own, unless the one before never came through."""
        return row.revision + (row.state is RecordsState.ALIGNED)

    async def _arrived(self, files: RecordsFiles) -> None:
        await self._known.remember(files)
        await self._report(RecordsArrived(records=files.records, revision=files.revision))

    async def _settle(self, known: RecordsFiles, files: Sequence[SourceFile]) -> None:
        """Report a delivery that waits for nothing any more."""
        folder = known.folder.reveal()
        batches = [await self._journal.batch(batch) for batch in await self._known.batches(folder)]
        reason = lacking(files, self._watched.contracts) or await self._unsettled(known, files) or _incomplete(batches)
        if reason:
            self.waiting[known.records] = reason
            return
        self.waiting.pop(known.records, None)
        self._quiet.pop(folder, None)
        settled = replace(known, files=tuple(files))
        await self._known.remember(settled)
        newest = max((row for row in batches if row), key=lambda row: row.opened).batch
        await self._report(
            RecordsSettled(records=known.records, revision=known.revision, batch=newest, files=len(files), size=settled.size)
        )

    async def _unsettled(self, known: RecordsFiles, files: Sequence[SourceFile]) -> str:
        """``being-written`` until nothing changed over two looks and the quiet time."""
        quiet = self._quiet.get(known.folder.reveal())
        now = self._clock.monotonic()
        if quiet is None or quiet.files != files:
            self._quiet[known.folder.reveal()] = Quiet(files, now)
            return "being-written"
        quiet.looks += 1
        drop = self._watched.drop
        written = await asyncio.to_thread(lambda: any(drop.is_being_written(file.member.path) for file in files))
        return "being-written" if written or now - quiet.since < self._watched.settings.settle_seconds else ""

    async def _take_hints(self) -> None:
        async for _ in self._watched.hints.paths():
            self._woken.set()

    async def _sleep(self) -> None:
        """Until the interval is over or a hint comes; sooner while something has to be quiet for a little longer."""
        settings = self._watched.settings
        seconds = min(settings.scan_seconds, settings.settle_seconds) if self.waiting or self._quiet else settings.scan_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()


def _incomplete(batches: Sequence[BatchRow | None]) -> str:
    """``no-batch`` while no image of this session is known, ``images-incomplete`` until all its batches are completed."""
    if not any(batches):
        return "no-batch"
    return "" if all(row and row.state is BatchState.COMPLETED for row in batches) else "images-incomplete"
