"""The engine itself: one door for events, one lane per command, and an orderly stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from slidekeeper.engine.lane import Lane, LaneSpec
from slidekeeper.engine.places import Places
from slidekeeper.engine.throughput import Throughput
from slidekeeper.messages.events import (
    AnyStepEvent,
    Event,
    PackEvent,
    PackQuarantined,
    PackStuck,
    RecordsEvent,
    RecordsQuarantined,
    RunEvent,
    RunQuarantined,
    SlideCatalogued,
    StagingEvent,
    StagingQuarantined,
    VersionDamaged,
)
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal, Recorded
from slidekeeper.workflow.retry import RetryPolicy

log = structlog.get_logger(__name__)


class Engine:
    """Commits what happens, and carries out what follows from it."""

    def __init__(
        self,
        journal: Journal,
        lanes: Sequence[LaneSpec],
        probes: Mapping[str, Callable[[], None]],
        clock: Clock,
        policy: RetryPolicy,
        probe_seconds: float,
    ) -> None:
        self._journal = journal
        self.places = Places(probes, self.submit, probe_seconds)
        self.lanes = tuple(Lane(spec, journal, self.submit, self.places, clock, policy) for spec in lanes)
        self.throughput = Throughput(clock)
        self._committed = asyncio.Event()

    async def submit(self, event: Event) -> Recorded:
        """Commit an event and set in motion what follows.

        Raises:
            UndefinedTransition: the workflow table has no row for it; nothing was recorded.
        """
        recorded = await self._journal.commit(event)
        if isinstance(event, SlideCatalogued):
            self.throughput.count()
        self._announce([recorded])
        return recorded

    async def submit_all(self, events: Sequence[Event]) -> Sequence[Recorded]:
        """Commit several events, all or none."""
        recorded = await self._journal.commit_all(events)
        self._announce(recorded)
        return recorded

    async def committed(self) -> None:
        """Wait for the next commit."""
        await self._committed.wait()

    async def run(self) -> None:
        """Carry out commands until :meth:`stop`, then wait for those under way."""
        async with asyncio.TaskGroup() as group:
            prober = group.create_task(self.places.run())
            working = [group.create_task(lane.run(), name=f"lane {lane.name}") for lane in self.lanes]
            await asyncio.wait(working)
            prober.cancel()

    def stop(self) -> None:
        """Take no new command; :meth:`run` returns when those under way have ended."""
        for lane in self.lanes:
            lane.stop()

    def _announce(self, recorded: Sequence[Recorded]) -> None:
        """Log what happened, wake the lanes that have something to do, and all who wait for any commit."""
        for each in recorded:
            _log_event(each.event)
        ordered = {each.ordered for each in recorded}
        for lane in self.lanes:
            if lane.name in ordered:
                lane.wake()
        self._committed.set()
        self._committed = asyncio.Event()


def _log_event(event: Event) -> None:
    """One line with the id that leads through the life of a pack, records, staging or run, whoever reported the event."""
    match event:
        case PackQuarantined() | RecordsQuarantined() | StagingQuarantined() | RunQuarantined():
            noun, subject = _noun(event), event.subject
            log.warning(f"{noun} quarantined", **{noun: subject}, step=event.step, reason=event.reason, detail=event.detail)
        case PackStuck():
            log.warning("pack is stuck", pack=event.pack, reason=event.reason, detail=event.detail)
        case VersionDamaged():
            log.error("version damaged", version=event.subject, objects=event.objects, detail=event.detail)
        case PackEvent() | RecordsEvent() | StagingEvent() | RunEvent():
            log.debug("recorded", **{_noun(event): event.subject}, type=event.type)


def _noun(event: AnyStepEvent) -> str:
    """What the event is about: ``pack``, ``records``, ``staging`` or ``run``."""
    return next(noun for noun in ("pack", "records", "staging", "run") if noun in type(event).model_fields)
