"""Whether the engine is alive: the loop's lag, and a pulse that a supervisor can trust."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import structlog

from slidekeeper.engine.lane import Lane
from slidekeeper.errors import SlidekeeperError, Unavailable
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal

log = structlog.get_logger(__name__)

LAG_PROBE_SECONDS = 0.005
"""Interval of probes: what begins to block within one is seen shorter by at most so much."""
LAG_WINDOW = 12_000
"""Probes remembered: one minute."""


class LagMeter:
    """Measures how late the event loop wakes: what blocks it shows here.

    Time for which the machine gave the loop's thread no processor is counted apart: no change of ours would win it back. Of that only
    what must have come after the probe was due is taken off its lag.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lags: deque[float] = deque(maxlen=LAG_WINDOW)
        self.worst = 0.0
        """Greatest lag of our own making since the start, in seconds."""
        self.worst_starved = 0.0
        """Longest that the loop waited for a processor between two probes, in seconds."""

    @property
    def recent(self) -> float:
        """Greatest lag of our own making in the last minute, in seconds."""
        return max(self._lags, default=0.0)

    async def run(self) -> None:
        """Measure for ever."""
        while True:
            before, starved_before = self._clock.monotonic(), self._clock.starved()
            await asyncio.sleep(LAG_PROBE_SECONDS)
            starved = self._clock.starved() - starved_before
            late = self._clock.monotonic() - before - LAG_PROBE_SECONDS
            lag = max(0.0, late - max(0.0, starved - LAG_PROBE_SECONDS))
            self._lags.append(lag)
            self.worst = max(self.worst, lag)
            self.worst_starved = max(self.worst_starved, starved)


class Pulse:
    """Beats while the journal answers and no lane is stuck; a supervisor that misses beats restarts the daemon."""

    def __init__(self, journal: Journal, lanes: Sequence[Lane], beat: Callable[[], Awaitable[None]], stuck_seconds: float) -> None:
        """``stuck_seconds``: a command that runs longer than this means that its lane is stuck (its own time limits failed)."""
        self._journal = journal
        self._lanes = lanes
        self._beat = beat
        self._stuck_seconds = stuck_seconds

    async def is_alive(self, within_seconds: float) -> bool:
        """Whether the journal answers in time and every lane moves.

        A full or failing disk is trouble, but not death: commits wait for it, and no restart would mend it.
        """
        stuck = [lane.name for lane in self._lanes if lane.oldest_seconds() > self._stuck_seconds]
        if stuck and not self._journal.trouble:
            log.error("lanes are stuck", lanes=stuck)
            return False
        try:
            async with asyncio.timeout(within_seconds):
                await self._journal.head()
        except TimeoutError:
            log.error("journal does not answer")
            return False
        except Unavailable as trouble:
            log.warning("journal cannot be read", reason=trouble.reason, detail=trouble.detail)
        except SlidekeeperError as fault:
            log.error("journal answers with a fault", reason=fault.reason, detail=fault.detail)
            return False
        return True

    async def run(self, interval: float) -> None:
        """Beat every ``interval`` seconds while alive, for ever."""
        while True:
            if await self.is_alive(interval):
                await self._beat()
            await asyncio.sleep(interval)
