"""The reconciling scan: what is below the root and not in the index, or there with another identity.

A directory whose modification time is the one it was listed with holds the same names, so only its sub-directories are visited;
once a day every directory is listed all the same, so that a file rewritten in place is found even if its event was lost.
A directory is noted together with its sub-directories, those not listed yet as never listed: what a crash or missing rights leave
undone is thus visited by the next scan.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any

from slidekeeper.adapters.drop.comparison import FILES, Comparison, Found
from slidekeeper.adapters.drop.index import connect, explained_troubles, split
from slidekeeper.adapters.drop.posix import GONE, PosixDrop, ignoring, sighting_of
from slidekeeper.errors import Permanent
from slidekeeper.model.phi import FileIdentity, RelativePath
from slidekeeper.ports.drop import Listing, Portion, Sighting

PORTION = 200
"""Files compared at once; bounds memory whatever the size of a directory."""

FILES_BELOW = (
    "SELECT directory, name FROM files WHERE drop_name = ? AND (directory = ? OR (directory >= ? AND directory < ?)) "
    "AND (directory, name) > (?, ?) ORDER BY directory, name LIMIT ?"
)
DAY = 86400.0
CLOCK_GRAIN_NS = 2_000_000_000
"""A directory that changed this shortly before it was listed may have changed again within the same tick of its file system's clock."""


class TreeScan:
    """Implements :class:`slidekeeper.ports.drop.Scan` for one drop folder; one thread at a time."""

    def __init__(self, drop: PosixDrop, index: Path, ignore: Sequence[str]) -> None:
        self._drop = drop
        self._index = connect(index)
        self._root = os.fsencode(drop.root)
        self._ignoring = ignoring(tuple(ignore))
        self._directories = 0
        self._unreadable: set[bytes] = set()

    @property
    def directories(self) -> int:
        """Number of directories, as of the last scan."""
        return self._directories

    @property
    def unreadable(self) -> int:
        """Number of directories with something that could not be looked at, as of the last scan."""
        return len(self._unreadable)

    def everything(self) -> Iterator[Portion]:
        """Reconcile the whole tree."""
        known = self._known_directories()
        children = _children(known)
        visited = 0
        self._unreadable.clear()
        waiting = [b""]
        while waiting:
            directory = waiting.pop()
            visited += 1
            yield from self._visit(directory, known.get(directory), children, waiting)
        self._directories = visited

    def look(self, paths: Sequence[RelativePath]) -> Iterator[Portion]:
        """Reconcile single files, and directories with all below them."""
        wanted = [path for path in paths if not any(map(self._ignored, os.fsdecode(path.reveal()).split("/")))]
        directories = [path.reveal() for path in wanted if self._drop.is_folder(path)]
        files = sorted((path for path in wanted if path.reveal() not in directories), key=RelativePath.reveal)  # a pack's side by side
        for start in range(0, len(files), PORTION):
            seen = [sighting for path in files[start : start + PORTION] if (sighting := self._see(path)) is not None]
            yield Portion([sighting for sighting in seen if not self._is_known(sighting)], ())
        while directories:
            yield from self._visit(directories.pop(), None, {}, directories)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def _visit(
        self, directory: bytes, listed: Listing | None, children: Mapping[bytes, list[bytes]], waiting: list[bytes]
    ) -> Iterator[Portion]:
        """What is new in a directory; its sub-directories are added to ``waiting``."""
        try:
            mtime_ns = os.stat(os.path.join(self._root, directory), follow_symlinks=False).st_mtime_ns
        except OSError as error:
            self._pass_over(directory, error)
            return
        if listed and listed.mtime_ns == mtime_ns and _still_holds(listed, time.time()):
            waiting += children.get(directory, ())
        else:
            yield from self._list(directory, mtime_ns, children, waiting)

    def _list(self, directory: bytes, mtime_ns: int, children: Mapping[bytes, list[bytes]], waiting: list[bytes]) -> Iterator[Portion]:
        """List one directory; its sub-directories are added to ``waiting``."""
        found: list[Found] = []
        below: list[bytes] = []
        listing = Listing(directory, mtime_ns, time.time())
        comparison = Comparison(self._rows, directory)
        prefix = directory + b"/" if directory else b""
        try:
            with self._drop.folder(directory) as folder, os.scandir(folder) as entries:
                for entry in entries:
                    name = os.fsencode(entry.name)
                    if self._ignored(entry.name):
                        comparison.pass_over(name)
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(prefix + name)
                    else:
                        try:
                            found.append((name, entry.stat(follow_symlinks=False)))
                        except OSError as error:
                            if self._pass_over(directory, error):
                                comparison.pass_over(name)
                                listing = Listing.never(directory)
                    if len(found) >= PORTION:
                        yield Portion(_sightings(prefix, comparison.unknown(found)), ())
                        found = []
                last = _sightings(prefix, comparison.unknown(found))
                gone = [RelativePath(prefix + name) for name in comparison.gone(partial(_is_there, folder))]
        except OSError as error:
            self._pass_over(directory, error)
            return
        finally:
            waiting += below
        yield from self._gone(gone, set(children.get(directory, ())) - set(below))
        yield Portion(last, [listing, *self._yet_unknown(below)])

    def _gone(self, files: Sequence[RelativePath], directories: Set[bytes]) -> Iterator[Portion]:
        """What the index knows and is not there any more, with all that it knows below."""
        for start in range(0, len(files), PORTION):
            yield Portion((), (), files[start : start + PORTION])
        for directory in directories:
            last = (b"", b"")
            while rows := self._rows(FILES_BELOW, directory, directory + b"/", directory + b"0", *last, PORTION):
                yield Portion((), (), [RelativePath(b"/".join(row)) for row in rows])
                last = rows[-1]
            yield Portion((), (), (), directory)

    def _pass_over(self, directory: bytes, error: OSError) -> bool:
        """Go on behind what cannot be looked at, and count it; False for what is only gone.

        Raises:
            Unavailable: the whole drop folder is away.
        """
        if error.errno in GONE:
            return False
        self._drop.check_available()
        self._unreadable.add(directory)
        return True

    def _yet_unknown(self, directories: Sequence[bytes]) -> Iterator[Listing]:
        """Those directories that the index lacks, as they are to be noted."""
        query = "SELECT 1 FROM directories WHERE drop_name = ? AND directory = ?"
        for directory in directories:
            if not self._rows(query, directory):
                yield Listing.never(directory)

    def _is_known(self, sighting: Sighting) -> bool:
        rows = self._rows(f"{FILES} AND name = ?", *split(sighting.path))
        return [FileIdentity(*identity) for _, *identity in rows] == [sighting.identity]

    def _known_directories(self) -> Mapping[bytes, Listing]:
        rows = self._rows("SELECT directory, mtime_ns, listed FROM directories WHERE drop_name = ?")
        return {row[0]: Listing(*row) for row in rows}

    def _rows(self, query: str, *values: object) -> list[Any]:
        """What the index answers about this drop folder."""
        with explained_troubles():
            return self._index.execute(query, (self._drop.name, *values)).fetchall()

    def _see(self, path: RelativePath) -> Sighting | None:
        """The file as it is now; one that may not be looked at hides none of the others, and is found once it may."""
        try:
            return self._drop.see(path)
        except Permanent:
            return None

    def _ignored(self, name: str) -> bool:
        return self._ignoring.match(name) is not None


def _sightings(prefix: bytes, found: Sequence[Found]) -> list[Sighting]:
    return [sighting_of(prefix + name, status) for name, status in found]


def _is_there(folder: int, name: bytes) -> bool:
    """Whether a name is in an open folder; what cannot be told counts as there."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _children(directories: Mapping[bytes, Listing]) -> dict[bytes, list[bytes]]:
    """Known sub-directories by directory."""
    children: dict[bytes, list[bytes]] = {}
    for directory in directories:
        if directory:
            children.setdefault(directory.rpartition(b"/")[0], []).append(directory)
    return children


def _still_holds(listed: Listing, now: float) -> bool:
    """Whether a listing is neither a day old, nor from a time that is yet to come, nor too close to the directory's last change."""
    return 0 <= now - listed.at < DAY and listed.mtime_ns + CLOCK_GRAIN_NS < listed.at * 1e9
