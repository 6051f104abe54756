"""Two clocks: one for people, one for waiting. Only the first may jump."""

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
