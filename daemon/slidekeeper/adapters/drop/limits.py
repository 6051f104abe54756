"""The kernel's limits for watching, and how much of them this process uses.

Source: inotify(7), "/proc interfaces"; proc_pid_fdinfo(5).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc/sys/fs/inotify")


@dataclass(frozen=True, slots=True)
class InotifyLimits:
    """Limits for one user."""

    watches: int
    instances: int
    queued_events: int


def inotify_limits() -> InotifyLimits:
    """Read the limits."""
    return InotifyLimits(*(int((PROC / name).read_text()) for name in ("max_user_watches", "max_user_instances", "max_queued_events")))


def watches_held(descriptor: int) -> int:
    """Watches that one inotify instance of this process holds; 0 when it is closed."""
    try:
        return Path(f"/proc/self/fdinfo/{descriptor}").read_text().count("inotify wd:")
    except OSError:
        return 0
