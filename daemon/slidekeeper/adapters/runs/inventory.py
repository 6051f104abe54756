"""Looks at tiers and training roots for an audit; symlinks are counted as the files they are, never followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from slidekeeper.adapters.runs.opening import FILE_FLAGS, GONE, KEPT_BY_FILE_SYSTEM, away
from slidekeeper.ports.inventory import Thing, Weight


class PosixInventory:
    """Implements :class:`slidekeeper.ports.inventory.Inventory`."""

    def things(self, root: Path, *below: bytes) -> Sequence[Thing]:
        """Entries of a folder by name."""
        try:
            with os.scandir(_joined(root, *below)) as entries:
                found = [Thing(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError as error:
            if below and error.errno in GONE:
                return []
            raise away(root, error) from None
        return sorted((thing for thing in found if below or thing.name not in KEPT_BY_FILE_SYSTEM), key=lambda thing: thing.name)

    def weigh(self, root: Path, *below: bytes) -> Weight:
        """All files in a folder and below it."""
        sizes = [size for _, size in self.files(root, *below)]
        return Weight(len(sizes), sum(sizes))

    def files(self, root: Path, *below: bytes) -> Iterator[tuple[bytes, int]]:
        """Path and size of each file."""
        top = _joined(root, *below)
        if not stat.S_ISDIR(_mode(top)):
            yield below[-1], _size(top)
            return
        unlisted: list[bytes] = []
        for folder, _, names in _walk(top, unlisted):
            for name in names:
                path = os.path.join(folder, name)
                yield os.path.relpath(path, top), _size(path)
        yield from ((os.path.relpath(path, top), 0) for path in unlisted)

    def read(self, root: Path, *below: bytes) -> bytes | None:
        """A regular file's content, or None."""
        try:
            descriptor = os.open(_joined(root, *below), FILE_FLAGS)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as stream:
            return stream.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _walk(top: bytes, unlisted: list[bytes]) -> Iterator[tuple[bytes, list[bytes], list[bytes]]]:
    """``os.walk``, which tells symlinks to folders among the folders: they are files here."""

    def note(error: OSError) -> None:
        unlisted.append(os.fsencode(error.filename))

    for folder, folders, names in os.walk(top, onerror=note):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        yield folder, folders, [*names, *links]


def _joined(root: Path, *below: bytes) -> bytes:
    return b"/".join([os.fsencode(root), *below])


def _mode(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _size(path: bytes) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0
