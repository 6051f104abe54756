"""Watches training roots: a new folder is a run that is being trained; its done-marker, once it is quiet, says that it is done.

What was taken up stands in the journal beside the run's state, in the same transaction: a restart neither forgets a marker nor takes one
up twice. In memory is only what spares questions to the journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from slidekeeper.errors import Permanent, SlidekeeperError, SourceChanged, Temporary, Unavailable, UndefinedTransition
from slidekeeper.messages.events import AnyRunEvent, RunAppeared, RunFinished, RunQuarantined
from slidekeeper.model.run import MarkerIdentity, RunPlace, new_run_id
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal, RunRow
from slidekeeper.ports.runs import RootView, SeenMarker, TrainingRoot
from slidekeeper.settings.training import TrainingSettings
from slidekeeper.steps.runs.marker import parse_marker
from slidekeeper.workflow.states import RunState

log = structlog.get_logger(__name__)

UNDER_WAY = frozenset({RunState.FINISHED, RunState.RELEASED})
"""States in which a step works on the run: a new marker waits until it is done."""
BY_MARKER = "marker"
STEP = "watch"

Report = Callable[[AnyRunEvent], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Quiet:
    """Since when a marker has been what it is."""

    marker: SeenMarker
    since: float


class RunsIntake:
    """Observes all training roots, each for itself: one that hangs holds up no other."""

    def __init__(
        self,
        roots: Sequence[TrainingRoot],
        journal: Journal,
        report: Report,
        suspend: Callable[[Unavailable], Awaitable[None]],
        clock: Clock,
        settings: TrainingSettings,
    ) -> None:
        self.watchers = [RootWatcher(root, journal, report, suspend, clock, settings) for root in roots]

    async def run(self) -> None:
        """Watch for ever."""
        async with asyncio.TaskGroup() as group:
            for watcher in self.watchers:
                group.create_task(watcher.run())

    def status(self) -> Sequence[Mapping[str, Any]]:
        """What is seen, and what is wrong, in each root."""
        return [watcher.status() for watcher in self.watchers]


class RootWatcher:
    """Observes one root."""

    def __init__(
        self,
        root: TrainingRoot,
        journal: Journal,
        report: Report,
        suspend: Callable[[Unavailable], Awaitable[None]],
        clock: Clock,
        settings: TrainingSettings,
    ) -> None:
        self._root = root
        self._journal = journal
        self._report = report
        self._suspend = suspend
        self._clock = clock
        self._settings = settings
        self._view: RootView | None = None
        self._dealt: dict[str, MarkerIdentity | None] = {}
        self._open: set[str] = set()
        """Folders whose marker is awaited, or is not quiet yet: looked at most often."""
        self._quiet: dict[str, Quiet] = {}
        self._unreadable: set[str] = set()
        self._scanned = float("-inf")
        self._away = ""

    async def run(self) -> None:
        """Look for ever; a root that is away is waited for."""
        while True:
            try:
                await self.look()
                self._away = ""
            except Unavailable as away:
                self._away = away.reason
                await self._suspend(away)
            except SlidekeeperError as trouble:
                log.warning("runs not seen", place=self._root.place, reason=trouble.reason, detail=trouble.detail)
            await asyncio.sleep(min(self._settings.settle_seconds, self._settings.scan_seconds))

    def status(self) -> Mapping[str, Any]:
        """What is seen, and what is wrong."""
        view = self._view
        return {
            "root": self._root.place.partition(":")[2],
            "away": self._away,
            "folders": len(view.places) if view else 0,
            "awaited": len(self._open),
            "misfits": dict(view.misfits) if view else {},
            "unreadable_markers": len(self._unreadable),
        }

    async def look(self) -> None:
        """Take in new folders and the markers that are awaited; at the interval of the scan, all markers."""
        whole = self._clock.monotonic() - self._scanned >= self._settings.scan_seconds
        view = await asyncio.to_thread(self._root.look, whole)
        before = self._take_view(view)
        places = [place for place in view.places if whole or place.folder in self._open or place.folder not in self._dealt]
        for place, marker in zip(places, await asyncio.to_thread(self._root.markers, places), strict=True):
            try:
                await self._consider(place, marker, before)
            except UndefinedTransition:
                self._dealt.pop(place.folder, None)  # a step was quicker; the next look sees what it did
        if whole:
            self._scanned = self._clock.monotonic()

    def _take_view(self, view: RootView) -> frozenset[str] | None:
        """Forget what is gone; returns the folders of the look before, None where that was another file system."""
        known = self._view if self._view and self._view.file_system == view.file_system else None
        there = {place.folder for place in view.places}
        kept = there if known else set[str]()
        self._dealt = {folder: marker for folder, marker in self._dealt.items() if folder in kept}
        self._quiet = {folder: quiet for folder, quiet in self._quiet.items() if folder in kept}
        self._open &= kept
        self._unreadable &= kept
        self._view = view
        return frozenset(place.folder for place in known.places) if known else None

    async def _consider(self, place: RunPlace, marker: SeenMarker | None, before: frozenset[str] | None) -> None:
        seen = marker.identity if marker else None
        if place.folder in self._dealt and self._dealt[place.folder] == seen and place.folder not in self._quiet:
            return
        row = await self._journal.run_in(place.folder)
        if row is None or (row.state is RunState.CLEANED and before is not None and place.folder not in before):
            row = await self._appear(place)
        if marker is None or row.seen == seen:
            self._rest(place.folder, seen, awaited=row.state is RunState.RUNNING)
        elif row.state not in UNDER_WAY:
            await self._settle(row, place, marker)
        else:
            self._open.add(place.folder)

    async def _appear(self, place: RunPlace) -> RunRow:
        """Tell of a folder that is new, or new again after all that was in it had been cleaned."""
        run = new_run_id()
        await self._report(RunAppeared(run=run, place=place))
        row = await self._journal.run(run)
        if row is None:
            raise Temporary("run-unknown", "the journal does not know a run that it has just been told of")
        return row

    def _rest(self, folder: str, seen: MarkerIdentity | None, *, awaited: bool) -> None:
        """Nothing is to be done here until the marker is another."""
        self._dealt[folder] = seen
        self._quiet.pop(folder, None)
        self._unreadable.discard(folder)
        if awaited:
            self._open.add(folder)
        else:
            self._open.discard(folder)

    async def _settle(self, row: RunRow, place: RunPlace, marker: SeenMarker) -> None:
        """Report a marker that has been quiet for long enough."""
        self._open.add(place.folder)
        quiet, now = self._quiet.get(place.folder), self._clock.monotonic()
        if quiet is None or quiet.marker != marker:
            self._quiet[place.folder] = Quiet(marker, now)
        elif now - quiet.since >= self._settings.settle_seconds:
            event = await self._understood(row, place, marker)
            if event is not None:
                await self._report(event)
                self._rest(place.folder, marker.identity, awaited=False)

    async def _understood(self, row: RunRow, place: RunPlace, marker: SeenMarker) -> AnyRunEvent | None:
        """What follows from a quiet marker; None while it cannot be read."""
        try:
            done = parse_marker(await asyncio.to_thread(self._root.read_marker, place, marker))
        except Permanent as wrong:
            return RunQuarantined(run=row.run, step=STEP, reason=wrong.reason, detail=wrong.detail, seen=marker.identity)
        except SourceChanged:
            self._quiet.pop(place.folder, None)
            return None
        except Temporary:
            self._unreadable.add(place.folder)
            return None
        return RunFinished(run=row.run, place=place, marker=done, by=BY_MARKER, seen=marker.identity)
