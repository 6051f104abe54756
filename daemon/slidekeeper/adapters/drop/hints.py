"""Hints from inotify through watchdog: they wake the scan and are never trusted to be complete.

watchdog's own log messages quote paths, which identify patients: its logger is muted, and only the fact of an overflow is read
from it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyObserver

from slidekeeper.adapters.drop.limits import inotify_limits, watches_held
from slidekeeper.model.phi import RelativePath

HINTING = [FileClosedEvent, FileMovedEvent, FileCreatedEvent, DirCreatedEvent, DirMovedEvent]
"""Opening is left out: reading the tree ourselves would flood us."""

DEBOUNCE_SECONDS = 0.03
MANY = 5000
"""With more hints than this at once, one scan of the whole tree is cheaper."""


LIMITS = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors of inotify_init(2) and inotify_add_watch(2) that tell of too few instances, watches, descriptors or memory."""

MUTE = logging.NullHandler()
"""Stays with watchdog's logger: without any handler, Python would print its warnings to standard error."""


class NoHints:
    """Implements :class:`slidekeeper.ports.drop.Hints` where changes cannot be seen, on shares: the scan alone works."""

    degraded = ""
    limit: int | None = None

    def start(self) -> None:
        """Nothing to start."""

    async def paths(self) -> AsyncIterator[frozenset[RelativePath] | None]:
        """Never a hint."""
        await asyncio.Event().wait()
        yield None

    def is_deaf(self) -> bool:
        """What never listens cannot go deaf."""
        return False

    def watches(self) -> int | None:
        """Not watched."""
        return None

    def stop(self) -> None:
        """Nothing to stop."""


class InotifyHints(FileSystemEventHandler):
    """Implements :class:`slidekeeper.ports.drop.Hints` for a local root. Made in the event loop's thread."""

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)
        self._loop = asyncio.get_running_loop()
        self._events: deque[bytes] = deque()
        self._woken = asyncio.Event()
        self._wake_pending = False
        self._everything = False
        self._observer: BaseObserver | None = None
        self._watched_root: tuple[int, int] | None = None
        self._ear = _OverflowEar(self._on_overflow)
        self.degraded = ""
        self.limit: int | None = None

    def start(self) -> None:
        """Watch the root, anew if it was watched before."""
        self.stop()
        self.limit = inotify_limits().watches
        self._ear.listen()
        try:
            self._observer = self._listening()
        except Exception as trouble:  # of any kind: the scan finds everything without hints, and must go on
            self.degraded = _why_deaf(trouble)
            return
        self._watched_root = self._root_identity()
        self.degraded = ""

    def _listening(self) -> BaseObserver:
        """A started observer; one that cannot start gives its inotify instance back, of which a user has few."""
        observer = Observer()
        try:
            observer.schedule(self, os.fsdecode(self._root), recursive=True, event_filter=HINTING)
            observer.start()
        except BaseException:
            observer.stop()
            raise
        return observer

    async def paths(self) -> AsyncIterator[frozenset[RelativePath] | None]:
        """What happened since the last time, coalesced over a few hundredths of a second."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(DEBOUNCE_SECONDS)
            self._woken.clear()
            self._wake_pending = False
            yield self._drain()

    def is_deaf(self) -> bool:
        """Whether the observer died, or watches a root that was unmounted or replaced."""
        if self._observer is None:
            return False
        alive = self._observer.is_alive() and all(emitter.is_alive() for emitter in self._observer.emitters)
        return not alive or self._root_identity() != self._watched_root

    def watches(self) -> int | None:
        """Watches that this root's inotify instance holds, or None while it is not watched."""
        return watches_held(_descriptor(self._observer)) if self._observer is not None else None

    def stop(self) -> None:
        """Stop watching."""
        self._ear.stop()
        if self._observer is not None:
            self._observer.stop()
            self._observer = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take one event; runs in watchdog's thread."""
        for path in (event.src_path, event.dest_path):
            if path:
                self._events.append(os.fsencode(path))
        self._wake()

    def _root_identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self._root)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _on_overflow(self) -> None:
        self._everything = True
        self._wake()

    def _wake(self) -> None:
        """One wake-up for many events; a lost race costs a needless one."""
        if not self._wake_pending:
            self._wake_pending = True
            self._loop.call_soon_threadsafe(self._woken.set)

    def _drain(self) -> frozenset[RelativePath] | None:
        found: set[bytes] = set()
        while self._events:
            found.add(self._events.popleft())
        if self._everything or len(found) > MANY:
            self._everything = False
            return None
        prefix = self._root.rstrip(b"/") + b"/"
        return frozenset(RelativePath(path[len(prefix) :]) for path in found if path.startswith(prefix) and len(path) > len(prefix))


def _descriptor(observer: BaseObserver) -> int:
    """The observer's own inotify instance; watchdog knows no public name for it, and the kernel tells the watches of no other thing."""
    return cast("InotifyObserver", observer)._inotify_fd._inotify_fd


def _why_deaf(trouble: Exception) -> str:
    """``watch-limit`` for the kernel's limits, which are raised; ``unreachable`` for a root that is not there or not ours to read."""
    if isinstance(trouble, OSError):
        return "watch-limit" if trouble.errno in LIMITS else "unreachable"
    return "watch-failed"


class _OverflowEar(logging.Handler):
    """Hears from watchdog's logger that events were lost, and passes on nothing else."""

    def __init__(self, on_overflow: object) -> None:
        super().__init__(logging.DEBUG)
        self._on_overflow = on_overflow
        self._logger = logging.getLogger("watchdog")

    def listen(self) -> None:
        """Mute watchdog's logger and listen."""
        self._logger.propagate = False
        self._logger.addHandler(self)

    def stop(self) -> None:
        """Listen no longer; the logger stays mute."""
        self._logger.removeHandler(self)
        self._logger.addHandler(MUTE)

    def emit(self, record: logging.LogRecord) -> None:
        """Look at the constant part of the message only."""
        if "overflow" in str(record.msg) and callable(self._on_overflow):
            self._on_overflow()
