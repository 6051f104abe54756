"""Applies the cleanup policy at an interval and whenever a run was protected, and releases stagings that no run needs any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from slidekeeper.errors import SlidekeeperError, UndefinedTransition
from slidekeeper.messages.events import RunProtected, RunReleased, StagingReleased
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal, RunRow
from slidekeeper.settings.training import CleanupSettings
from slidekeeper.steps.cleanup.policy import Candidate, Due, due, unneeded
from slidekeeper.workflow.states import RunState, StagingState

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 60.0
GATHER_SECONDS = 1.0
"""After a run was protected others may follow at once; they are looked at together."""
PAGE = 500
PROTECTED = (RunProtected.model_fields["type"].default,)
BY_POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Volume:
    """The file system that a training root lies on."""

    device: int
    free: int
    """Bytes."""


class Cleaner:
    """Decides nothing itself: asks the policy, and submits what it says."""

    def __init__(
        self,
        journal: Journal,
        report: Callable[[RunReleased | StagingReleased], Awaitable[object]],
        committed: Callable[[], Awaitable[None]],
        volumes: Callable[[], Mapping[str, Volume]],
        clock: Clock,
        settings: CleanupSettings,
    ) -> None:
        """``volumes`` tells the file system of each training root that is there; ``committed`` waits for the next commit."""
        self._journal = journal
        self._report = report
        self._committed = committed
        self._volumes = volumes
        self._clock = clock
        self._settings = settings

    async def run(self) -> None:
        """Look for ever."""
        while True:
            seq = 0
            try:
                seq = await self._journal.head()
                await self.look()
            except SlidekeeperError as trouble:
                log.warning("cleanup policy not applied", reason=trouble.reason, detail=trouble.detail)
            await self._sleep(seq)

    async def look(self) -> None:
        """Release what is due."""
        for run in await self._due():
            with suppress(UndefinedTransition):  # somebody was quicker
                await self._report(RunReleased(run=run.run, by=BY_POLICY, reason=run.reason))
        if self._settings.stagings == "release":
            await self._release_stagings()

    async def _due(self) -> Sequence[Due]:
        volumes = await asyncio.to_thread(self._volumes)
        rows = await self._runs(RunState.PROTECTED, RunState.RELEASED)
        candidates = [_candidate(row, volumes[row.place.root]) for row in rows if row.place.root in volumes]
        free = {volume.device: volume.free for volume in volumes.values()}
        return due(candidates, self._settings, self._clock.now(), free)

    async def _release_stagings(self) -> None:
        stagings = await self._journal.stagings([StagingState.READY], "", PAGE)
        for staging in unneeded(stagings, await self._runs() if stagings else ()):
            with suppress(UndefinedTransition):
                await self._report(StagingReleased(staging=staging, by=BY_POLICY, reason="all runs that trained on it are cleaned"))

    async def _runs(self, *states: RunState) -> Sequence[RunRow]:
        rows: list[RunRow] = []
        while page := await self._journal.runs(states, rows[-1].run if rows else "", PAGE):
            rows += page
        return rows

    async def _sleep(self, seq: int) -> None:
        """Until the interval is over or a run has been protected."""
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL_SECONDS):
                while not await self._journal.events(seq, 1, PROTECTED):
                    await self._committed()
                    await asyncio.sleep(GATHER_SECONDS)


def _candidate(row: RunRow, volume: Volume) -> Candidate:
    size = row.facts.size if row.facts else 0
    return Candidate(row.run, row.updated, size, volume.device, leaving=row.state is RunState.RELEASED)
