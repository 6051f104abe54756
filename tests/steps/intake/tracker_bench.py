"""A tracker on a real folder and a real index, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.errors import Unavailable, UndefinedTransition
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import Barcode, Member, PackFiles, RelativePath, Role
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake.tracker import Tracker
from steps.intake.drop_site import QUICK, eventually

BATCH = BatchId("b" * 12)


@dataclass
class Bench:
    """A tracker on a real folder and a real index, with a notebook for what it tells."""

    root: Path
    known: SqliteKnownFiles
    drop: Any
    told: list[Any] = field(default_factory=list)
    suspended: list[Unavailable] = field(default_factory=list)
    wholeness: Callable[[PackFiles], Awaitable[str]] | None = None
    refuses: bool = False
    tracker: Tracker = field(init=False)
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        settings = DropSettings(path=self.root, **QUICK)
        self.tracker = Tracker(
            {"scanner": self.drop},
            {"scanner": settings},
            self.known,
            self._report,
            self._whole,
            self._suspend,
            SystemClock(),
            lambda _drop: None,
        )

    async def _report(self, event: Any) -> None:
        self.told.append(event)
        if self.refuses:
            raise UndefinedTransition("undefined-transition")

    async def _whole(self, files: PackFiles) -> str:
        return await self.wholeness(files) if self.wholeness else ""

    async def _suspend(self, away: Unavailable) -> None:
        self.suspended.append(away)

    def pack(self, name: str, *others: str, pack: str = "a") -> PackFiles:
        """Files that are there now, as one pack."""
        members = tuple(self.member(each) for each in (name, *others))
        return PackFiles(PackId(pack * 16), "scanner", BATCH, RelativePath(b"a"), Barcode("a"), members)

    def member(self, name: str) -> Member:
        path = RelativePath(name.encode())
        role = {".svs": Role.IMAGE, ".txt": Role.BARCODE}[Path(name).suffix]
        identity = PosixDrop("scanner", self.root).identify(path)
        assert identity is not None
        return Member(path, role, identity)

    def write(self, name: str, content: bytes = b"pixels") -> None:
        (self.root / name).write_bytes(content)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the tracker; its fault ends the test."""
        self.task = asyncio.create_task(self.tracker.run())
        try:
            yield
        finally:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    async def first(self, type_: str) -> Any:
        """The first event of a type that was told."""

        async def told() -> Any:
            if self.task is not None and self.task.done():
                self.task.result()
            return next((event for event in self.told if event.type == type_), None)

        return await eventually(told)
