"""The machine's clocks."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

SCHEDSTAT = "/proc/thread-self/schedstat"
SCHEDSTAT_BYTES = 100
"""More than its three numbers take."""
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
            descriptor = os.open(SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)  # asked hundreds of times a second: a file object costs much more
        except OSError:
            return 0.0
        try:
            return int(os.read(descriptor, SCHEDSTAT_BYTES).split()[1]) / NANOSECONDS
        except (OSError, IndexError, ValueError):
            return 0.0
        finally:
            os.close(descriptor)
