"""Makes trees of what a capture has read, from the leaves to the root."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from slidekeeper.adapters.snapshots.spool import Enter, Kept, Leave, Linked, Missed, Record
from slidekeeper.model.tree import TAIL, DirectoryEntry, Entry, FileEntry, MissingEntry, SymlinkEntry, encode_entry, encode_head, named

MEMORY_BYTES = 4 * 1024 * 1024
PORTION_BYTES = 1024 * 1024

KeepTree = Callable[[str, Iterable[bytes]], None]
"""Stores a tree, given its digest and its file in portions, unless it is there."""


@dataclass(slots=True)
class _Directory:
    """A tree that grows: its lines, its packs, and the sums of all below."""

    made_of: Enter
    lines: IO[bytes]
    packs: dict[str, int] = field(default_factory=dict)
    is_empty: bool = True
    files: int = 0
    size: int = 0
    missing: int = 0

    def add(self, entry: Entry) -> None:
        """Append a line."""
        self.lines.write(encode_entry(entry, self.is_empty))
        self.is_empty = False

    def portions(self) -> Iterator[bytes]:
        """The tree's file."""
        yield encode_head(list(self.packs))
        self.lines.seek(0)
        while portion := self.lines.read(PORTION_BYTES):
            yield portion
        yield TAIL


class Planter:
    """Turns records into trees; memory for one entry at a time, and a little for each level."""

    def __init__(self, packs: Sequence[str], keep: KeepTree, folder: Path) -> None:
        self._packs = packs
        self._keep = keep
        self._folder = folder
        self._levels: list[_Directory] = []

    def plant(self, records: Iterable[Record]) -> DirectoryEntry:
        """The entry of the one directory that ``records`` are about."""
        root: DirectoryEntry | None = None
        for record in records:
            match record:
                case Kept():
                    self._add_file(record)
                case Enter():
                    lines = tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(self._folder))  # noqa: SIM115 - until its end
                    self._levels.append(_Directory(record, lines))
                case Leave():
                    root = self._leave()
                case Linked():
                    self._levels[-1].add(_symlink(record))
                case Missed(name, reason):
                    self._levels[-1].add(MissingEntry(**named(name), reason=reason))
                    self._levels[-1].missing += 1
        if root is None or self._levels:
            raise AssertionError("records of no whole directory")
        return root

    def _add_file(self, kept: Kept) -> None:
        level = self._levels[-1]
        level.files += 1
        level.size += kept.size
        pack = -1
        if kept.pack is not None or kept.ordinal is not None:
            name = kept.pack.hex() if kept.pack is not None else self._packs[kept.ordinal or 0]
            pack = level.packs.setdefault(name, len(level.packs))
        level.add(
            FileEntry(**named(kept.name), size=kept.size, sha256=kept.digest.hex(), mode=f"{kept.mode:04o}", mtime=kept.mtime, pack=pack)
        )

    def _leave(self) -> DirectoryEntry:
        done = self._levels.pop()
        digest = hashlib.sha256()
        for portion in done.portions():
            digest.update(portion)
        self._keep(digest.hexdigest(), done.portions())
        done.lines.close()
        entry = DirectoryEntry(
            **named(done.made_of.name),
            tree=digest.hexdigest(),
            mode=f"{done.made_of.mode:04o}",
            mtime=done.made_of.mtime,
            files=done.files,
            size=done.size,
            missing=done.missing,
        )
        if self._levels:
            above = self._levels[-1]
            above.add(entry)
            above.files += done.files
            above.size += done.size
            above.missing += done.missing
        return entry


def _symlink(record: Linked) -> SymlinkEntry:
    try:
        return SymlinkEntry(**named(record.name), target=record.target.decode(), mtime=record.mtime)
    except UnicodeDecodeError:
        target = base64.b64encode(record.target).decode()
        return SymlinkEntry(**named(record.name), target_base64=target, mtime=record.mtime)
