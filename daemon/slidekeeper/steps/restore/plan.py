"""What happens to each entry of a version where it is to be restored: pure, from the entry and what lies there already."""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass
from typing import Literal, TypeAlias

from slidekeeper.model.tree import DirectoryEntry, Entry, FileEntry, MissingEntry, SymlinkEntry

Kind: TypeAlias = Literal["file", "directory", "symlink", "other"]

MODE = 0o777
"""Bits that are restored. Whoever restores owns the files: set-user-id would lend a run's program the powers of the restorer."""


@dataclass(frozen=True, slots=True)
class Found:
    """What lies at an entry's place."""

    kind: Kind
    size: int = 0
    mtime: int = 0
    """Nanoseconds since the epoch."""
    target: bytes = b""
    """Of a symbolic link."""


class Action(enum.Enum):
    """What to do about one entry."""

    WRITE = "write"
    """Nothing is there."""
    COMPARE = "compare"
    """Perhaps it is there already; its digest tells."""
    REPLACE = "replace"
    """Something else is there, and may be overwritten."""
    CONFLICT = "conflict"
    """Something else is there, and may not be overwritten."""
    KEEP = "keep"
    """It is there already."""
    REPORT = "report"
    """The version itself lacks its content."""


def decide(entry: Entry, found: Found | None, overwrite: bool) -> Action:
    """What to do about an entry where ``found`` lies; nothing but files and links is ever overwritten, and only by such."""
    if isinstance(entry, MissingEntry):
        return Action.REPORT
    if found is None:
        return Action.WRITE
    if isinstance(entry, DirectoryEntry) or found.kind not in ("file", "symlink"):
        return Action.KEEP if isinstance(entry, DirectoryEntry) and found.kind == "directory" else Action.CONFLICT
    if isinstance(entry, SymlinkEntry) and found.kind == "symlink" and found.target == link_target(entry):
        return Action.KEEP
    if isinstance(entry, FileEntry) and found.kind == "file" and (found.size, found.mtime) == (entry.size, entry.mtime):
        return Action.COMPARE
    return Action.REPLACE if overwrite else Action.CONFLICT


def link_target(entry: SymlinkEntry) -> bytes:
    """Where a symbolic link points, as the file system knows it."""
    return entry.target.encode() if entry.target else base64.b64decode(entry.target_base64)


def permissions(entry: FileEntry | DirectoryEntry) -> int:
    """The permission bits that are restored."""
    return int(entry.mode, 8) & MODE


@dataclass(frozen=True, slots=True)
class Totals:
    """What a restore is going to do."""

    files: int = 0
    size: int = 0
    """Bytes of all files."""
    there: int = 0
    """Files that seem to be there already: they are only verified."""
    replaced: int = 0
    conflicts: int = 0
    missing: int = 0
    to_write: int = 0
    """Bytes that the target's file system has to hold in addition."""

    def plus(self, entry: Entry, action: Action) -> Totals:
        """The totals with one more entry."""
        is_file = isinstance(entry, FileEntry)
        size = entry.size if isinstance(entry, FileEntry) else 0
        written = action in (Action.WRITE, Action.REPLACE)
        return Totals(
            self.files + is_file,
            self.size + size,
            self.there + (action is Action.COMPARE),
            self.replaced + (action is Action.REPLACE),
            self.conflicts + (action is Action.CONFLICT),
            self.missing + (action is Action.REPORT),
            self.to_write + (size if written else 0),
        )
