"""Intake on real folders, a real index and a real journal, with quiet times of hundredths of a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.hints import NoHints
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.drop.scan import TreeScan
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Unavailable
from slidekeeper.messages.commands import SettlePack
from slidekeeper.messages.events import Event
from slidekeeper.model.identity import PackId
from slidekeeper.model.phi import PackFiles
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake.service import Intake
from slidekeeper.steps.intake.watcher import WatchedDrop

T = TypeVar("T")

QUICK: Mapping[str, Any] = {"settle_seconds": 0.05, "scan_seconds": 0.03, "incomplete_seconds": 0.3, "stuck_seconds": 0.6}


class DropSite:
    """One site with drop folders; every ``SettlePack`` that the journal orders is handed to intake, as the engine does."""

    def __init__(self, folder: Path, journal: SqliteJournal, known: SqliteKnownFiles, **settings: Any) -> None:
        self.root = folder / "drop"
        self.journal = journal
        self.known = known
        self.suspensions: list[Unavailable] = []
        self.faults: dict[str, str] = {}
        self.before_report: Callable[[Event], Awaitable[None]] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._index = folder / "intake.sqlite"
        self._settings = {**QUICK, **settings}
        self.drops = {"scanner": self.watch_folder("scanner", self.root)}
        self.intake = self.new_intake()

    def watch_folder(self, name: str, root: Path) -> WatchedDrop:
        """A drop folder at ``root``."""
        root.mkdir(exist_ok=True)
        settings = DropSettings(path=root, **self._settings)
        drop = PosixDrop(name, root, sentinel=settings.sentinel)
        return WatchedDrop(drop, TreeScan(drop, self._index, settings.ignore), NoHints(), settings)

    def new_intake(self) -> Intake:
        """Intake as it is after a start of the daemon."""
        return Intake(self.drops, self.known, self.journal, self.report, self._wholeness, self._suspend, SystemClock())

    async def report(self, event: Event) -> object:
        """Commit an event."""
        if self.before_report is not None:
            await self.before_report(event)
        return await self.journal.commit(event)

    async def _wholeness(self, files: PackFiles) -> str:
        return self.faults.get(files.barcode.reveal(), "")

    async def _suspend(self, away: Unavailable) -> None:
        self.suspensions.append(away)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run intake, and carry out what the journal orders; a fault in either ends the test."""
        self._tasks = [asyncio.create_task(self.intake.run()), asyncio.create_task(self._settle_ordered())]
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            for task in self._tasks:
                with suppress(asyncio.CancelledError):
                    await task

    async def _settle_ordered(self) -> None:
        after = 0
        while True:
            for pending in await self.journal.pending("settle", after, 100):
                after = pending.seq
                await self.intake.settle(SettlePack(pack=PackId(pending.subject)))
            await asyncio.sleep(0.005)

    def drop(self, path: str | bytes, content: bytes = b"pixels") -> Path:
        """Write a file into the drop folder, as a scanner does."""
        file = self.root / (path if isinstance(path, str) else path.decode("utf-8", "surrogateescape"))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    async def events(self, *types: str) -> list[Any]:
        """Events so far, of some types."""
        return [recorded.event for recorded in await self.journal.events(0, 1000, types)]

    async def wait_for(self, type_: str, count: int = 1) -> list[Any]:
        """The first events of a type, as soon as there are so many."""

        async def enough() -> list[Any]:
            for task in self._tasks:
                if task.done():
                    task.result()
            found = await self.events(type_)
            return found if len(found) >= count else []

        return await eventually(enough)


@asynccontextmanager
async def drop_site(folder: Path, **settings: Any) -> AsyncIterator[DropSite]:
    """A site below ``folder``; opened again, it finds what it knew."""
    journal = SqliteJournal.open(folder / "journal.sqlite", SystemClock(), outbox=False)
    known = SqliteKnownFiles(folder / "intake.sqlite")
    site = DropSite(folder, journal, known, **settings)
    try:
        yield site
    finally:
        await known.close()
        await journal.close()


async def eventually(question: Callable[[], Awaitable[T]], seconds: float = 30.0) -> T:
    """The answer to a question, as soon as it is a true one."""
    async with asyncio.timeout(seconds):
        while not (answer := await question()):
            await asyncio.sleep(0.005)
    return answer
