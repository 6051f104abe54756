"""Holds reading to a rate."""

from __future__ import annotations

import time


class Pacer:
    """Lets so many bytes a second pass; what was not used is not saved up for more than a second. For one thread."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._free = time.monotonic()
        """The moment at which everything that passed will have been paid for."""

    def spend(self, count: int) -> None:
        """Wait until ``count`` more bytes may pass."""
        now = time.monotonic()
        self._free = max(self._free, now - 1.0) + count / self._rate
        if self._free > now:
            time.sleep(self._free - now)
