"""The records workflow on real folders, a real index and a real journal, with quiet times of hundredths of a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.deliveries import SqliteKnownRecords
from slidekeeper.adapters.drop.hints import NoHints
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Unavailable
from slidekeeper.messages.events import BatchClosed, BatchOpened
from slidekeeper.model.contract import Action, Column, Contract, Domain, Identifies
from slidekeeper.model.identity import BatchId
from slidekeeper.settings.sections import RecordsSettings
from slidekeeper.steps.records.intake import RecordsIntake, WatchedRecords

QUICK: Mapping[str, Any] = {"settle_seconds": 0.05, "scan_seconds": 0.02}
SLIDE = Column(name="Image File", identifies=Identifies.FILE_NAME, action=Action.PSEUDONYMIZE, domain=Domain.SLIDE, required=True)
PATIENT = Column(name="MRN", identifies=Identifies.ID, action=Action.PSEUDONYMIZE, domain=Domain.PATIENT)
STAIN = Column(name="Stain", vocabulary=("HE", "PAS"), action=Action.KEEP)
CONTRACTS = {
    "imagery": Contract(source="imagery", version=1, files=("CSV1*.csv",), columns=(SLIDE, STAIN)),
    "patients": Contract(source="patients", version=1, files=("CSV2*.csv",), columns=(SLIDE, PATIENT)),
}


class RecordsSite:
    """One site with a records folder."""

    def __init__(self, folder: Path, journal: SqliteJournal, known: SqliteKnownRecords, files: SqliteKnownFiles, **settings: Any) -> None:
        self.root = folder / "records"
        self.root.mkdir(exist_ok=True)
        self.journal = journal
        self.known = known
        self._files = files
        self.suspensions: list[Unavailable] = []
        drop = PosixDrop("records", self.root)
        chosen = RecordsSettings(path=self.root, **{**QUICK, **settings})
        watched = WatchedRecords(drop, lambda: list(drop.walk(("*.part",))), NoHints(), chosen, CONTRACTS)
        self.intake = RecordsIntake(watched, known, journal, journal.commit, self._suspend, SystemClock())

    async def _suspend(self, away: Unavailable) -> None:
        self.suspensions.append(away)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run intake; a fault in it ends the test."""
        task = asyncio.create_task(self.intake.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def batch(self, folder: bytes, batch: str, completed: bool = True) -> BatchId:
        """An image batch of a session, its images complete or not."""
        found = BatchId(batch)
        await self._files.begin_batch(found, "scanner", folder)
        await self.journal.commit(BatchOpened(batch=found, drop="scanner"))
        if completed:
            await self.complete(found)
        return found

    async def complete(self, batch: BatchId) -> None:
        """Give the notice for a batch without packs: it is complete at once."""
        await self.journal.commit(BatchClosed(batch=batch, by="operator"))

    def deliver(self, *names: str, content: str = "Image File,MRN\n") -> None:
        """Write files, as the hospital's data team does."""
        for name in names:
            path = self.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)

    async def events(self, *types: str) -> list[Any]:
        """Events of records so far, of some types."""
        found = [recorded.event for recorded in await self.journal.events(0, 1000, types)]
        return [event for event in found if event.type.startswith("records.")]

    async def waiting(self) -> str:
        """What the only delivery waits for."""
        return next(iter(self.intake.waiting.values()), "")


@asynccontextmanager
async def records_site(folder: Path, **settings: Any) -> AsyncIterator[RecordsSite]:
    """A site below ``folder``; opened again, it finds what it knew."""
    journal = SqliteJournal.open(folder / "journal.sqlite", SystemClock(), outbox=False)
    files = SqliteKnownFiles(folder / "intake.sqlite")
    known = SqliteKnownRecords(folder / "intake.sqlite")
    try:
        yield RecordsSite(folder, journal, known, files, **settings)
    finally:
        await known.close()
        await files.close()
        await journal.close()
