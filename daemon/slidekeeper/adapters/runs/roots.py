"""Looks at training roots from above: project folders, run folders, done-markers. What is in a run is never listed.

The two upper levels are looked at every few seconds instead of being watched by inotify: training often writes to shares, where inotify
sees nothing, and one stat(2) for each project and each open run costs less than a watch on each of their folders.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slidekeeper.adapters.runs.opening import (
    FILE_FLAGS,
    GONE,
    KEPT_BY_FILE_SYSTEM,
    away,
    check_root,
    kind_of,
    opened_folder,
    opened_root,
    place_of,
)
from slidekeeper.errors import LOST_MOUNTS, Permanent, SourceChanged, Temporary
from slidekeeper.model.run import MarkerIdentity, RunPlace
from slidekeeper.model.staging import NAME_PATTERN
from slidekeeper.ports.runs import RootView, SeenMarker

OURS = b".slidekeeper"
MARKER_LIMIT = 1 << 20
PROJECT = re.compile(NAME_PATTERN)
RACY_SECONDS = 2.0
"""A folder that changed so short before it was listed may have changed again within the same tick of its file system's clock."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in a folder, as of one modification time."""

    mtime_ns: int
    at: float
    folders: Sequence[bytes]
    others: int
    """Things that are no folder, symlinks included."""


@dataclass(slots=True)
class PosixTrainingRoot:
    """Implements :class:`slidekeeper.ports.runs.TrainingRoot`."""

    root: Path
    marker: str
    mount: bool = False
    _listings: dict[bytes, Listing] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The root's name among the places that work depends on."""
        return place_of(self.root)

    def check_available(self) -> None:
        """Prove that the root can be used."""
        check_root(self.root, self.mount)

    def look(self, anew: bool = True) -> RootView:
        """All run folders."""
        self.check_available()
        if anew:
            self._listings.clear()
        with opened_root(self.root) as root:
            try:
                return self._view(root)
            except OSError as error:
                raise away(self.root, error) from None

    def _view(self, root: int) -> RootView:
        status = os.fstat(root)
        top = self._listed(b"", root)
        misfits: Counter[str] = Counter({"no-folder": top.others})
        places: list[RunPlace] = []
        for name in top.folders:
            project = _text(name)
            if name == OURS or name in KEPT_BY_FILE_SYSTEM:
                continue
            if PROJECT.fullmatch(project) is None:
                misfits["project-name"] += 1
                continue
            places += self._runs(root, name, project, misfits)
        self._listings = {name: listing for name, listing in self._listings.items() if not name or name in top.folders}
        return RootView((status.st_dev, status.st_ino), places, +misfits)

    def _runs(self, root: int, name: bytes, project: str, misfits: Counter[str]) -> Sequence[RunPlace]:
        try:
            with opened_folder(root, [name]) as folder:
                listing = self._listed(name, folder)
        except OSError as error:
            if error.errno in LOST_MOUNTS:
                raise
            misfits["unreadable"] += error.errno not in GONE
            return []
        runs = [text for run in listing.folders if (text := _text(run)) and not text.startswith(".")]
        misfits["no-folder"] += listing.others
        misfits["run-name"] += len(listing.folders) - len(runs)
        return [RunPlace(project=project, name=run, folder=str(self.root / project / run), root=str(self.root)) for run in runs]

    def _listed(self, name: bytes, folder: int) -> Listing:
        """List a folder, unless it is what it was at the last look."""
        mtime = os.fstat(folder).st_mtime_ns
        known = self._listings.get(name)
        if known and known.mtime_ns == mtime and known.at - mtime / 1e9 > RACY_SECONDS:
            return known
        at = time.time()
        with os.scandir(folder) as entries:
            kinds = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
        folders = sorted(entry for entry, is_folder in kinds if is_folder)
        listing = self._listings[name] = Listing(mtime, at, folders, len(kinds) - len(folders))
        return listing

    def markers(self, places: Sequence[RunPlace]) -> Sequence[SeenMarker | None]:
        """The done-marker of each place, or None."""
        with opened_root(self.root) as root:
            return [self._marker(root, place) for place in places]

    def _marker(self, root: int, place: RunPlace) -> SeenMarker | None:
        try:
            with opened_folder(root, _names(place)) as folder:
                return _seen(os.stat(os.fsencode(self.marker), dir_fd=folder, follow_symlinks=False))
        except OSError as error:
            if error.errno in LOST_MOUNTS:
                raise away(self.root, error) from None
            return None

    def read_marker(self, place: RunPlace, seen: SeenMarker) -> bytes:
        """The content of a done-marker, read while it was the one that was seen."""
        if seen.special:
            raise Permanent("marker-special", f"the done-marker is a {seen.special}", "Write it as a regular file")
        if seen.identity.size > MARKER_LIMIT:
            raise Permanent("marker-too-large", f"the done-marker has more than {MARKER_LIMIT} bytes", "Write large things as artifacts")
        try:
            with opened_root(self.root) as root, opened_folder(root, _names(place)) as folder:
                return _read(os.open(os.fsencode(self.marker), FILE_FLAGS, dir_fd=folder), seen)
        except OSError as error:
            if error.errno in LOST_MOUNTS:
                raise away(self.root, error) from None
            if error.errno in GONE:
                raise SourceChanged("marker-changed", "the done-marker is gone") from None
            raise Temporary("marker-unreadable", "", "Give the service read access to the run's folder") from None


def _read(descriptor: int, seen: SeenMarker) -> bytes:
    try:
        data = os.read(descriptor, MARKER_LIMIT + 1) if _seen(os.fstat(descriptor)) == seen else None
        if data is None or _seen(os.fstat(descriptor)) != seen or len(data) != seen.identity.size:
            raise SourceChanged("marker-changed", "the done-marker is being written")
        return data
    finally:
        os.close(descriptor)


def _seen(status: os.stat_result) -> SeenMarker:
    identity = MarkerIdentity(inode=status.st_ino, mtime_ns=status.st_mtime_ns, size=status.st_size)
    return SeenMarker(identity, kind_of(stat.S_IFMT(status.st_mode)))


def _names(place: RunPlace) -> Sequence[bytes]:
    return [place.project.encode(), place.name.encode()]


def _text(name: bytes) -> str:
    """The name, or nothing where it is not UTF-8."""
    try:
        return name.decode()
    except UnicodeDecodeError:
        return ""
