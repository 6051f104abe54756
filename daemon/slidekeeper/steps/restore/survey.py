"""Looks before anything is written: what a restore has to do, and what it would overwrite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from slidekeeper.errors import Refused
from slidekeeper.model.tree import DirectoryEntry
from slidekeeper.ports.snapshots import Listed
from slidekeeper.steps.restore.plan import Action, Found, Totals, decide
from slidekeeper.steps.restore.target import OPEN_FOLDER, find, target_errors

NAMED_CONFLICTS = 20


@dataclass
class Survey:
    """What was found."""

    totals: Totals = field(default_factory=Totals)
    conflicts: list[bytes] = field(default_factory=list)
    """The first few paths that something else lies at."""


def survey(entries: Iterator[Listed], target: Path, overwrite: bool) -> Survey:
    """Compare a version's entries with what lies in the target; writes nothing."""
    found = Survey()
    with ExitStack() as stack:
        there = _There(target, stack)
        for listed in entries:
            action = decide(listed.entry, there.find(listed.path, isinstance(listed.entry, DirectoryEntry)), overwrite)
            found.totals = found.totals.plus(listed.entry, action)
            if action is Action.CONFLICT and len(found.conflicts) < NAMED_CONFLICTS:
                found.conflicts.append(listed.path)
    return found


def check_room(totals: Totals, target: Path) -> None:
    """Refuse what the target's file system cannot hold.

    Raises:
        Refused: ``no-space``.
    """
    there = next(folder for folder in (target, *target.absolute().parents) if folder.is_dir())
    with target_errors():
        facts = os.statvfs(there)
    free = facts.f_bavail * facts.f_frsize
    if totals.to_write > free:
        short = (totals.to_write - free) / 1e9
        raise Refused("no-space", f"the target lacks {short:.1f} GB", "Free space, or restore less of it with --path")


class _There:
    """Folders of the target that exist, open from the root down to where the walk is."""

    def __init__(self, target: Path, stack: ExitStack) -> None:
        self._open: list[tuple[bytes, int | None]] = [(b"", self._root(target))]
        stack.callback(self._close)

    def find(self, path: bytes, is_folder: bool) -> Found | None:
        """What lies at a path; walks come depth first, so that only the folders above are open."""
        above, _, name = path.rpartition(b"/")
        while self._open[-1][0] != above:
            self._pop()
        folder = self._open[-1][1]
        found = None if folder is None else find(folder, name)
        if is_folder:
            enters = folder is not None and found is not None and found.kind == "directory"
            self._open.append((path, self._enter(folder or 0, name) if enters else None))
        return found

    @staticmethod
    def _root(target: Path) -> int | None:
        if not target.exists():
            return None
        with target_errors():
            return os.open(target, OPEN_FOLDER & ~os.O_NOFOLLOW)

    @staticmethod
    def _enter(folder: int, name: bytes) -> int:
        with target_errors():
            return os.open(name, OPEN_FOLDER, dir_fd=folder)

    def _pop(self) -> None:
        _, descriptor = self._open.pop()
        if descriptor is not None:
            os.close(descriptor)

    def _close(self) -> None:
        while self._open:
            self._pop()
