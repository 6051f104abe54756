"""Goes through a run's folder beside the version's tree, name by name, and removes what is in both and the same.

Every step is relative to an open directory, opened without following symlinks: whatever is renamed or swapped meanwhile, nothing outside
the run's folder can be reached. A folder's names and the version's entries are both sorted by bytes, so they are paired in one pass.
"""

from __future__ import annotations

import base64
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slidekeeper.adapters.runs.leftovers import Leftovers
from slidekeeper.adapters.runs.opening import GONE, away, check_root, opened_folder, opened_root
from slidekeeper.errors import LOST_MOUNTS, Permanent
from slidekeeper.model.excludes import Excludes
from slidekeeper.model.run import MarkerIdentity, RunId, RunPlace
from slidekeeper.model.tree import DirectoryEntry, Entry, FileEntry, SymlinkEntry
from slidekeeper.ports.cleaning import Contents, Found, Why

DEPTH_LIMIT = 250
"""Folders nested deeper are left alone: each level holds a descriptor."""


@dataclass(frozen=True, slots=True)
class PosixRunFolder:
    """Implements :class:`slidekeeper.ports.cleaning.RunFolder` below one root."""

    root: Path
    marker: str
    excludes: Excludes
    move_strangers: bool = False
    mount: bool = False

    def examine(self, place: RunPlace, contents: Contents) -> Iterator[Found]:
        """Everything in the run's folder; nothing is changed."""
        return self._pass(place, contents, None, remove=False)

    def clean(self, place: RunPlace, run: RunId, contents: Contents) -> Iterator[Found]:
        """Remove what is the run's own."""
        return self._pass(place, contents, run if self.move_strangers else None, remove=True)

    def _pass(self, place: RunPlace, contents: Contents, run: RunId | None, *, remove: bool) -> Iterator[Found]:
        check_root(self.root, self.mount)
        names = [place.project.encode(), place.name.encode()]
        try:
            with opened_root(self.root) as root, opened_folder(root, names[:1]) as project:
                leftovers = Leftovers(root, run) if run else None
                with opened_folder(project, names[1:]) as folder:
                    yield from _Walk(folder, self.marker.encode(), self.excludes, contents, leftovers, remove).run()
                if remove:
                    _remove_folder(project, names[1])
                    os.fsync(project)
        except OSError as error:
            if error.errno in LOST_MOUNTS:
                raise away(self.root, error) from None
            if error.errno not in GONE:
                name = errno.errorcode.get(error.errno or 0, "OSError")
                raise Permanent("permission", name, "Give the service write access to the run's folder, then retry the run") from None


class _Walk:
    """One pass through one run's folder."""

    def __init__(
        self, folder: int, marker: bytes, excludes: Excludes, contents: Contents, leftovers: Leftovers | None, remove: bool
    ) -> None:
        self._folder = folder
        self._marker = marker
        self._excludes = excludes
        self._contents = contents
        self._leftovers = leftovers
        self._remove = remove
        self._device = os.fstat(folder).st_dev

    def run(self) -> Iterator[Found]:
        """Everything, the marker last: while it is there, the run is not cleaned."""
        last = self._own_marker()
        yield from self._below(self._folder, (), self._contents.tree, within_excluded=False)
        if last is not None:
            self._unlink(self._folder, self._marker)
            yield last

    def _own_marker(self) -> Found | None:
        """The marker that was taken up.

        Raises:
            Permanent: there is another, of which no version was made yet.
        """
        try:
            status = os.stat(self._marker, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        identity = MarkerIdentity(inode=status.st_ino, mtime_ns=status.st_mtime_ns, size=status.st_size)
        if self._contents.marker is None:
            return None
        if identity != self._contents.marker:
            raise Permanent("marker-newer", "the run has finished again", "It is protected again, and may be cleaned then")
        return Found(self._marker, status.st_size, True, "marker")

    def _below(self, folder: int, path: tuple[bytes, ...], tree: str, *, within_excluded: bool) -> Iterator[Found]:
        for name, entry in _paired(_names(folder), self._contents, tree):
            if not path and name == self._marker and self._contents.marker is not None:
                continue
            try:
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    yield from self._folder_below(folder, (*path, name), entry, status, within_excluded=within_excluded)
                else:
                    yield self._file(
                        folder, (*path, name), _judge(folder, name, entry, status, self._is_excluded((*path, name), within_excluded))
                    )
            except OSError as error:
                if error.errno not in GONE:
                    raise

    def _folder_below(
        self, parent: int, path: tuple[bytes, ...], entry: Entry | None, status: os.stat_result, *, within_excluded: bool
    ) -> Iterator[Found]:
        why: Why | None = "other-file-system" if status.st_dev != self._device else "too-deep" if len(path) > DEPTH_LIMIT else None
        if why:
            yield Found(b"/".join(path), 0, False, why)
            return
        within_excluded = within_excluded or (entry is None and self._excludes(b"/".join(path), True))
        tree = entry.tree if isinstance(entry, DirectoryEntry) else ""
        with opened_folder(parent, path[-1:]) as folder:
            if os.fstat(folder).st_dev != self._device:
                return
            yield from self._below(folder, path, tree, within_excluded=within_excluded)
        if self._remove:
            _remove_folder(parent, path[-1])

    def _is_excluded(self, path: tuple[bytes, ...], within_excluded: bool) -> bool:
        return within_excluded or self._excludes(b"/".join(path), False)

    def _file(self, folder: int, path: tuple[bytes, ...], judged: tuple[Why, int]) -> Found:
        why, size = judged
        own = why in {"in-version", "excluded"}
        if own:
            self._unlink(folder, path[-1])
        elif self._leftovers and self._remove:
            self._leftovers.take(folder, path)
        return Found(b"/".join(path), size, own, why)

    def _unlink(self, folder: int, name: bytes) -> None:
        if self._remove:
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)


def _names(folder: int) -> Sequence[bytes]:
    """All names in a folder, sorted by their bytes."""
    return sorted(map(os.fsencode, os.listdir(folder)))


def _paired(names: Sequence[bytes], contents: Contents, tree: str) -> Iterator[tuple[bytes, Entry | None]]:
    """Each name with the version's entry of that name, if it has one; the tree is read to its end, where it proves to be sound."""
    entries = contents.children(tree) if tree else iter(())
    listed = next(entries, None)
    for name in names:
        while listed is not None and listed.path < name:
            listed = next(entries, None)
        yield name, listed.entry if listed is not None and listed.path == name else None
    for _ in entries:
        pass


def _judge(folder: int, name: bytes, entry: Entry | None, status: os.stat_result, excluded: bool) -> tuple[Why, int]:
    """Whose something is that is no folder, and its size."""
    size = status.st_size
    if stat.S_ISREG(status.st_mode) and isinstance(entry, FileEntry):
        same = (entry.size, entry.mtime) == (size, status.st_mtime_ns)
        return ("in-version" if same else "changed"), size
    if stat.S_ISLNK(status.st_mode) and isinstance(entry, SymlinkEntry):
        same = os.readlink(name, dir_fd=folder) == _target(entry)
        return ("in-version" if same else "changed"), 0
    if excluded:
        return "excluded", size
    return ("new" if stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode) else "special"), size


def _target(entry: SymlinkEntry) -> bytes:
    """Where the version's symlink points to."""
    return entry.target.encode() if entry.target else base64.b64decode(entry.target_base64)


def _remove_folder(parent: int, name: bytes) -> None:
    """Remove a folder that is empty; one that is not, or has become something else, stays."""
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOENT, errno.ENOTDIR}:
            raise
