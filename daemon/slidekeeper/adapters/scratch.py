"""Anonymous memory under a path: memfd_create(2), which workers of the same user open through the daemon's /proc entry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


class MemoryScratch:
    """Implements :class:`slidekeeper.ports.scratch.Scratch`. The daemon holds the memory, so that it ends with the daemon at the latest."""

    @contextmanager
    def lend(self, count: int) -> Iterator[tuple[Path, ...]]:
        """Empty places; see :meth:`slidekeeper.ports.scratch.Scratch.lend`."""
        with ExitStack() as stack:
            files = []
            for _ in range(count):
                files.append(os.memfd_create("scratch", os.MFD_CLOEXEC))
                stack.callback(os.close, files[-1])
            yield tuple(Path(f"/proc/{os.getpid()}/fd/{file}") for file in files)
