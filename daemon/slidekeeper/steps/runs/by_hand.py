"""Finishes a run because somebody says so: what a done-marker would do, for any folder that is no business of others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from slidekeeper.errors import Refused, UndefinedTransition
from slidekeeper.messages.events import RunFinished
from slidekeeper.model.run import DoneMarker, RunId, RunPlace, new_run_id
from slidekeeper.ports.journal import Journal

BELOW_ROOT = 2
"""``<project>/<run>``."""


class ByHand:
    """Takes the order to protect a folder."""

    def __init__(
        self,
        journal: Journal,
        report: Callable[[RunFinished], Awaitable[object]],
        roots: Sequence[Path],
        closed: Mapping[str, Path],
    ) -> None:
        """``closed``: folders and files by the key of their setting that no version may hold: identified, secret, or Slidekeeper's own."""
        self._journal = journal
        self._report = report
        self._roots = roots
        self._closed = closed

    async def finish(self, folder: Path, project: str, marker: DoneMarker, by: str) -> RunId:
        """Report that the run in ``folder`` is done; a folder in a training root is of the project it lies in.

        Raises:
            Refused: ``wrong-folder``, ``closed-folder``, ``wrong-project``, ``run-busy``.
        """
        place = await asyncio.to_thread(self._place, folder, project)
        row = await self._journal.run_in(place.folder)
        run = row.run if row and row.place == place else new_run_id()
        try:
            await self._report(RunFinished(run=run, place=place, marker=marker, by=by))
        except UndefinedTransition as busy:
            raise Refused("run-busy", busy.detail, "Order it again when that is done: `slidekeeper runs show`") from None
        return run

    def _place(self, folder: Path, project: str) -> RunPlace:
        real = Path(os.path.realpath(folder))
        if not folder.is_absolute() or not real.is_dir():
            raise Refused("wrong-folder", "there is no such folder", "Give the absolute path of a folder that the service can reach")
        self._check_open(real)
        try:
            return self._in_root(real, project) or RunPlace(project=project, name=real.name, folder=str(real))
        except ValidationError:
            detail = "project or folder cannot be called that"
            raise Refused("wrong-project", detail, "A project has letters, digits and ._- only; a folder's name is text") from None

    def _check_open(self, real: Path) -> None:
        for key, path in self._closed.items():
            closed = Path(os.path.realpath(path))
            if real.is_relative_to(closed) or closed.is_relative_to(real):
                raise Refused("closed-folder", f"the folder overlaps {key}", "Protect a folder that holds a training run and nothing else")

    def _in_root(self, real: Path, project: str) -> RunPlace | None:
        """The place of a run folder in a training root, spelled as the watcher spells it."""
        for root in self._roots:
            real_root = Path(os.path.realpath(root))
            below = real.relative_to(real_root).parts if real.is_relative_to(real_root) else ()
            if len(below) == BELOW_ROOT:
                if project not in ("", below[0]):
                    raise Refused("wrong-project", "the folder lies in another project of a training root", "Leave --project out")
                return RunPlace(project=below[0], name=below[1], folder=str(root.joinpath(*below)), root=str(root))
        return None
