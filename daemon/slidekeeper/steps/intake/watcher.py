"""Watches one drop folder: hints and scans become packs, while the folder is there."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from slidekeeper.errors import SlidekeeperError, Unavailable
from slidekeeper.messages.events import WatchDegraded, WatchRestored
from slidekeeper.model.phi import FileIdentity, RelativePath
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.drop import Drop, Hints, KnownFiles, Listing, Portion, Scan, Sighting
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake.assembly import is_marker

log = structlog.get_logger(__name__)

AWAY_PAUSE_SECONDS = 1.0
ROOT = b""
"""The session of what lies in the root itself: its folder is the whole tree."""
JITTER = 0.1
"""Share by which scans are spread, so that many roots are not scanned at once."""


@dataclass(frozen=True, slots=True)
class WatchedDrop:
    """A drop folder with all that watches it."""

    drop: Drop
    scan: Scan
    hints: Hints
    settings: DropSettings


class Watcher:
    """Runs one drop folder's scans, one at a time."""

    def __init__(
        self,
        watched: WatchedDrop,
        known: KnownFiles,
        ingest: Callable[[WatchedDrop, Sequence[Sighting]], Awaitable[None]],
        forget: Callable[[WatchedDrop, Portion], Awaitable[None]],
        hear: Callable[[Mapping[RelativePath, FileIdentity]], Awaitable[None]],
        report: Callable[[WatchDegraded | WatchRestored], Awaitable[object]],
        suspend: Callable[[Unavailable], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._watched = watched
        self._known = known
        self._ingest = ingest
        self._forget = forget
        self._hear = hear
        self._report = report
        self._suspend = suspend
        self._clock = clock
        self._scanning = asyncio.Lock()
        self._torn = False
        """A scan broke off: no marker is heard before the whole tree was seen."""
        self._markers: dict[RelativePath, FileIdentity] = {}
        """READY markers that were seen and not yet heard."""
        self._marked: dict[bytes, Listing] = {}
        """Directories with a marker in them: they count as listed once it is heard, so that a crash before loses no notice."""
        self._hinted: set[RelativePath] = set()
        self._everything = False
        self._woken = asyncio.Event()
        self._unfinished: set[bytes] = set()
        """Directories in which this reconciling left something for a later one."""
        self._degraded = ""
        self._unreadable = 0
        self.away = ""
        """Why the drop folder cannot be scanned, or an empty string."""
        self.looking_since: float | None = None
        """When the scan that is under way began; None between scans."""
        self.watches: int | None = None
        """Watches that were held behind the last scan of the whole tree."""
        self.scan_seconds = 0.0
        """Duration of the last scan of the whole tree."""

    @property
    def degraded(self) -> str:
        """Why hints are incomplete, or an empty string."""
        return self._degraded

    async def run(self) -> None:
        """Watch for ever; an unavailable folder is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take_hints())
            while True:
                try:
                    await self._arrive()
                    await self._watch()
                except Unavailable as away:
                    self.away = away.reason
                    self._watched.hints.stop()
                    await self._suspend(away)
                except SlidekeeperError as trouble:
                    self.away = trouble.reason
                    log.error("scan failed", drop=self._watched.drop.name, trouble=str(trouble))
                await asyncio.sleep(AWAY_PAUSE_SECONDS)

    async def look(self, paths: Sequence[RelativePath]) -> None:
        """Reconcile some paths now; the whole tree when there are none."""
        async with self.looked(paths):
            pass

    @asynccontextmanager
    async def looked(self, paths: Sequence[RelativePath]) -> AsyncIterator[None]:
        """As :meth:`look`; other scans wait until the caller has done what must not happen in the middle of one."""
        async with self._scanning:
            torn, self._torn = self._torn and bool(paths), True
            self.looking_since = self._clock.monotonic()
            try:
                await self._see(paths)
            finally:
                self.looking_since = None
            self._torn = torn
            yield
            if not torn:
                await self._hear(self._markers)
                if self._marked:
                    await self._known.listed(self._watched.drop.name, list(self._marked.values()))
                self._markers, self._marked = {}, {}

    def look_later(self, path: RelativePath) -> None:
        """Leave a file that was just seen to the next scan of the whole tree: its pack is under way at the moment."""
        self._unfinished.add(_directory_of(path))

    async def _arrive(self) -> None:
        """The folder is there (again): watch it, then see what is in it."""
        await asyncio.to_thread(self._watched.drop.check_available)
        if self.away:
            log.info("drop folder can be scanned again", drop=self._watched.drop.name)
        self.away = ""
        await asyncio.to_thread(self._watched.hints.start)
        self._everything = True
        self._woken.set()

    async def _watch(self) -> None:
        """Scan what hints name at once, and everything at the interval."""
        interval = self._watched.settings.scan_seconds
        next_scan = self._clock.monotonic()
        while True:
            if self._everything or self._clock.monotonic() >= next_scan:
                await self._scan_everything()
                next_scan = self._clock.monotonic() + interval * random.uniform(1 - JITTER, 1)  # noqa: S311 - no secret
            elif self._hinted:
                hinted, self._hinted = self._hinted, set()
                await self.look(list(hinted))
            await self._sleep_until(next_scan)

    async def _scan_everything(self) -> None:
        started = self._clock.monotonic()
        await asyncio.to_thread(self._watched.drop.check_available)
        await self._refresh_hints()
        self._everything = False
        self._hinted.clear()
        await self.look([])
        self.scan_seconds = self._clock.monotonic() - started
        self._tell_unreadable()
        await self._check_hints()

    def _tell_unreadable(self) -> None:
        """Say in the log when there are folders that cannot be read, and when that changes."""
        unreadable = self._watched.scan.unreadable
        if unreadable != self._unreadable:
            log.warning("folders cannot be read", drop=self._watched.drop.name, folders=unreadable)
        self._unreadable = unreadable

    async def _sleep_until(self, next_scan: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, next_scan - self._clock.monotonic())):
                await self._woken.wait()
        except TimeoutError:
            return
        self._woken.clear()

    async def _take_hints(self) -> None:
        async for paths in self._watched.hints.paths():
            if paths is None:
                self._everything = True
            else:
                self._hinted |= paths
            self._woken.set()

    async def _refresh_hints(self) -> None:
        """Begin anew where hints are deaf or incomplete: the limit may have been raised. The scan behind finds what comes meanwhile."""
        hints = self._watched.hints
        deaf = await asyncio.to_thread(hints.is_deaf)
        if deaf or self._degraded:
            await asyncio.to_thread(hints.start)

    async def _check_hints(self) -> None:
        """Compare watches with directories: where there are fewer, some are unwatched in silence, and may have changed meanwhile."""
        hints, scan = self._watched.hints, self._watched.scan
        self.watches = watches = await asyncio.to_thread(hints.watches)
        degraded = hints.degraded
        if watches is not None and watches + scan.unreadable < scan.directories:
            degraded = "watch-limit"
        if degraded and not self._degraded:
            self._everything = True
            self._woken.set()
        if degraded != self._degraded:
            self._degraded = degraded
            place = f"drop:{self._watched.drop.name}"
            await self._report(WatchDegraded(place=place, reason=degraded) if degraded else WatchRestored(place=place))

    async def _see(self, paths: Sequence[RelativePath]) -> None:
        """Reconcile some paths; then the whole folder of every session whose marker was found.

        What lay there before its marker may have been missed: hints get lost, and a listing shows what changes meanwhile in any order.
        """
        followed: Mapping[RelativePath, FileIdentity] = {}
        await self._reconcile(paths)
        while new := self._markers.items() - followed.items():
            followed = dict(self._markers)
            sessions = {path.session for path, _ in new}
            await self._reconcile([] if ROOT in sessions else [RelativePath(session) for session in sessions])

    async def _reconcile(self, paths: Sequence[RelativePath]) -> None:
        """Take in what is new below some paths, or in the whole tree, portion by portion.

        A directory counts as listed once its files are remembered, and its marker is heard; as long as something in it is left
        for later it counts as never listed, so that a crash forgets nothing.
        """
        portions = self._watched.scan.look(paths) if paths else self._watched.scan.everything()
        self._unfinished.clear()
        marked: set[bytes] = set()
        while (portion := await asyncio.to_thread(next, portions, None)) is not None:
            if portion.sightings:
                await self._ingest(self._watched, portion.sightings)
                marked |= await self._find_markers(portion.sightings)
            listings = [listing for listing in portion.listed if listing.directory not in self._unfinished]
            heard_first = {listing.directory: listing for listing in listings if listing.directory in marked}
            self._marked = {key: value for key, value in (self._marked | heard_first).items() if key not in self._unfinished}
            listed = [listing for listing in listings if listing.directory not in marked]
            if portion.sightings:
                listed += [Listing.never(directory) for directory in self._unfinished]
            if listed:
                await self._known.listed(self._watched.drop.name, listed)
            if portion.gone or portion.gone_directory is not None:
                await self._forget(self._watched, portion)

    async def _find_markers(self, sightings: Sequence[Sighting]) -> set[bytes]:
        """The directories of all markers; new ones are to be heard."""
        markers = list(filter(is_marker, sightings))
        for marker in markers:
            if await self._known.is_new_marker(self._watched.drop.name, marker.path, marker.identity):
                self._markers[marker.path] = marker.identity
        return {_directory_of(marker.path) for marker in markers}


def _directory_of(path: RelativePath) -> bytes:
    return path.reveal().rpartition(b"/")[0]
