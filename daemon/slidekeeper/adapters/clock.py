"""The machine's clocks."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

SCHEDSTAT = Path("/proc/thread-self/schedstat")
NANOSECONDS = 1e9


class SystemClock:
    """Wall clock in UTC and the kernel's monotonic clock."""

    def now(self) -> datetime:
        """Wall-clock time, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    def starved(self) -> float:
        """The second figure of the thread's schedstat, proc_pid_schedstat(5): nanoseconds on a run queue."""
        try:
            return int(SCHEDSTAT.read_text().split()[1]) / NANOSECONDS
        except (OSError, IndexError, ValueError):
            return 0.0
