"""Two clocks: one for people, one for waiting, of which only the first may jump; and how long the machine made us wait."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as an argument, so that rules stay pure and tests stay fast."""

    def now(self) -> datetime:
        """Wall-clock time, UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump; only differences mean something."""
        ...

    def starved(self) -> float:
        """Seconds for which this thread was ready to run but the machine gave it no processor; 0.0 where nobody counts them."""
        ...
