"""How many slides came through in the last minute."""

from __future__ import annotations

from collections import deque

from slidekeeper.ports.clock import Clock

WINDOW_SECONDS = 60.0


class Throughput:
    """Counts finished slides over a sliding minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._finished: deque[float] = deque()

    def count(self) -> None:
        """One more slide is catalogued."""
        self._finished.append(self._clock.monotonic())
        self._forget()

    def per_minute(self) -> int:
        """Slides catalogued in the last 60 seconds."""
        self._forget()
        return len(self._finished)

    def _forget(self) -> None:
        oldest = self._clock.monotonic() - WINDOW_SECONDS
        while self._finished and self._finished[0] < oldest:
            self._finished.popleft()
