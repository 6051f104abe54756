"""Where untrusted bytes are parsed: worker processes that may crash, hang or be killed without touching the daemon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

A = TypeVar("A")
R = TypeVar("R")


class Executor(Protocol):
    """Runs a pure function of one picklable argument in a limited worker process."""

    async def run(self, job: Callable[[A], R], argument: A, timeout_seconds: float) -> R:
        """Return ``job(argument)``.

        Raises:
            SlidekeeperError: what the job raised, unchanged.
            Temporary: ``worker-crashed``, ``worker-timeout`` or ``worker-memory``.
        """
        ...

    async def close(self) -> None:
        """End all workers; jobs under way are abandoned."""
        ...
