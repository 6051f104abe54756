"""Memory that outlives a worker: what one has read, the next need not read again."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Scratch(Protocol):
    """Lends places that are files to workers and memory to the machine: nothing of them lies on any disk."""

    def lend(self, count: int) -> AbstractContextManager[tuple[Path, ...]]:
        """Empty places; gone, with what lies in them, at the end of the context.

        A worker that may not open one gets an OSError, and must do without.
        """
        ...
