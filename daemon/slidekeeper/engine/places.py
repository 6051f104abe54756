"""Places that work depends on: a full bucket or a vanished mount pauses the work there, and probes let it go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

import structlog

from slidekeeper.engine.patience import PatientQuestion
from slidekeeper.errors import SlidekeeperError
from slidekeeper.messages.events import PlaceResumed, PlaceSuspended
from slidekeeper.workflow.retry import Suspend

log = structlog.get_logger(__name__)


class Places:
    """Knows which places are suspended and probes them until they are usable again."""

    def __init__(
        self,
        probes: Mapping[str, Callable[[], None]],
        report: Callable[[PlaceSuspended | PlaceResumed], Awaitable[object]],
        interval: float,
    ) -> None:
        """``probes`` return when their place is usable and raise a SlidekeeperError when not; they run in threads, and may hang."""
        self._probes = {place: PatientQuestion(probe) for place, probe in probes.items()}
        self._report = report
        self._interval = interval
        self._suspended: dict[str, tuple[Suspend, asyncio.Event]] = {}
        self._changed = asyncio.Event()

    @property
    def suspended(self) -> Mapping[str, str]:
        """Suspended places with the reason."""
        return {place: suspend.reason for place, (suspend, _) in self._suspended.items()}

    def any_suspended(self, places: Iterable[str]) -> bool:
        """Whether one of ``places`` is suspended."""
        return any(place in self._suspended for place in places)

    async def suspend(self, suspend: Suspend) -> None:
        """Pause work at a place; the first report of a place is journaled, further ones are not."""
        if suspend.place in self._suspended:
            return
        self._suspended[suspend.place] = (suspend, asyncio.Event())
        self._changed.set()
        log.warning("place suspended", place=suspend.place, reason=suspend.reason, detail=suspend.detail)
        await self._report(PlaceSuspended(place=suspend.place, reason=suspend.reason, detail=suspend.detail))

    async def usable(self, *places: str) -> None:
        """Wait until none of ``places`` is suspended."""
        for place in places:
            while entry := self._suspended.get(place):
                await entry[1].wait()

    async def run(self) -> None:
        """Probe suspended places at the interval, for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._suspended:
                await asyncio.sleep(self._interval)
                await asyncio.gather(*(self._probe(place) for place in list(self._suspended)))

    async def _probe(self, place: str) -> None:
        """Resume a place that answers that it is usable; one that does not answer is asked no second time until it does."""
        try:
            if place in self._probes:
                await self._probes[place].ask(self._interval)
        except (SlidekeeperError, TimeoutError):
            return
        await self._resume(place)

    async def _resume(self, place: str) -> None:
        _, resumed = self._suspended.pop(place)
        resumed.set()
        log.info("place resumed", place=place)
        await self._report(PlaceResumed(place=place))
