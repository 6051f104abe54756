"""How full the disks are, as far as they answer: ``status`` must be told even while a share hangs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from slidekeeper.engine.patience import PatientQuestion
from slidekeeper.errors import SlidekeeperError, Unavailable

PATIENCE_SECONDS = 0.5

Usage = Mapping[str, int]
"""``total`` and ``free``, in bytes."""


def measured(folder: Path) -> Usage:
    """The file system that holds a folder.

    Raises:
        Unavailable: the folder is not there.
    """
    try:
        total, _, free = shutil.disk_usage(folder)
    except OSError:
        raise Unavailable("disk", "not-there") from None
    return {"total": total, "free": free}


class Disks:
    """Remembers the newest figures of each disk; one that hangs costs a moment and one thread, however often it is asked for."""

    def __init__(self, folders: Mapping[str, Path], measure: Callable[[Path], Usage] = measured) -> None:
        """``folders`` by the names under which their disks are shown."""
        self._questions = {name: PatientQuestion(partial(measure, folder)) for name, folder in folders.items()}
        self._known: dict[str, Usage] = {}

    async def usage(self) -> Mapping[str, Usage]:
        """The newest figures of every disk that is there."""
        await asyncio.gather(*(self._ask(name) for name in self._questions))
        return {name: self._known[name] for name in self._questions if name in self._known}

    async def _ask(self, name: str) -> None:
        try:
            self._known[name] = await self._questions[name].ask(PATIENCE_SECONDS)
        except TimeoutError:
            return  # what was known before is still the best that can be said
        except SlidekeeperError:
            self._known.pop(name, None)
