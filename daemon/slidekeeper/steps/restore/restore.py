"""Restores a version: in parallel, verified while it is copied, never half a file under its name, and again from where it stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias

from slidekeeper.errors import Permanent, Refused
from slidekeeper.model.tree import DirectoryEntry, FileEntry, SymlinkEntry
from slidekeeper.model.version import VersionDocument
from slidekeeper.ports.snapshots import Listed, Versions
from slidekeeper.steps.restore.contents import Advance, copy_content, digest_file
from slidekeeper.steps.restore.crew import Crew
from slidekeeper.steps.restore.exchange import aside_of, put_in_place
from slidekeeper.steps.restore.plan import Action, Totals, decide, permissions
from slidekeeper.steps.restore.selection import Selection
from slidekeeper.steps.restore.sources import Sources
from slidekeeper.steps.restore.survey import check_room, survey
from slidekeeper.steps.restore.target import OPEN_FOLDER, Folder, target_errors

Part: TypeAlias = Literal["all", "artifacts", "code"]

BATCH_FILES = 64
BATCH_BYTES = 8 * 1024 * 1024
"""Small files of one folder are restored by one thread, so many at a time."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be restored, and how."""

    to: Path
    part: Part = "all"
    """One of the version's folders alone: then ``to`` becomes that folder."""
    paths: Sequence[str] = ()
    """Shell patterns, see :class:`.selection.Selection`."""
    overwrite: bool = False
    """Files and links in the target may be overwritten."""
    replace: bool = False
    """The target as a whole is replaced, once everything is restored beside it."""
    threads: int = 4


@dataclass
class Restored:
    """What a restore did."""

    files: int = 0
    size: int = 0
    """Bytes that were copied."""
    verified: int = 0
    """Files that were there already, and are what they must be."""
    links: int = 0
    missing: list[bytes] = field(default_factory=list)
    """What the version itself lacks, because it could not be read when it was protected."""
    damaged: list[bytes] = field(default_factory=list)
    """Files that no store has whole: not restored."""
    differing: list[bytes] = field(default_factory=list)
    """Files that look like the version's but are not: left as they are."""
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether everything that the version holds is in the target now."""
        return not self.damaged and not self.differing


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how it goes on; called from many threads."""

    begin: Callable[[Totals], None]
    advance: Advance
    """Bytes that were copied or verified."""


def restore(document: VersionDocument, stores: Sequence[Versions], wish: Wish, watch: Watch) -> Restored:
    """Restore a version from the first of ``stores``; what is damaged there from the others.

    Raises:
        Refused: ``would-overwrite``, ``no-space``, ``no-such-path``, ``wrong-path``.
        Permanent: ``version-damaged``: a directory of the version is; ``restore-incomplete``: nothing was replaced.
        Unavailable: the bucket or the target cannot be used.
    """
    started = time.perf_counter()
    if wish.replace and wish.paths:
        raise Refused("replace-in-part", "only a whole folder can be replaced", "Use --overwrite, or leave --path out")
    place = Path(os.path.abspath(wish.to))  # resolving would follow the link that is to be replaced
    work = replace(wish, to=aside_of(place) if wish.replace else place, overwrite=wish.overwrite or wish.replace)
    restored = _Restorer(document, Sources(stores), work, watch).run()
    if wish.replace:
        if not restored.complete:
            raise Permanent(
                "restore-incomplete", f"{len(restored.damaged)} files are damaged; nothing was replaced", "Heal the version first"
            )
        put_in_place(work.to, place)
    restored.seconds = round(time.perf_counter() - started, 3)
    return restored


class _Restorer:
    """One restore."""

    def __init__(self, document: VersionDocument, sources: Sources, wish: Wish, watch: Watch) -> None:
        self._document = document
        self._sources = sources
        self._wish = wish
        self._watch = watch
        self._selection = Selection(wish.paths)
        self._restored = Restored()
        self._lock = Lock()

    def run(self) -> Restored:
        """Look first, then write."""
        root = self._root()
        found = survey(self._entries(root), self._wish.to, self._wish.overwrite)
        if found.conflicts:
            raise _would_overwrite(found.totals.conflicts)
        if self._wish.paths and found.totals == Totals():
            raise Refused("no-such-path", "nothing in the version has such a path", "See `slidekeeper versions show --files`")
        check_room(found.totals, self._wish.to)
        self._watch.begin(found.totals)
        with Crew(self._wish.threads) as crew:
            self._fill(root, crew)
        return self._restored

    def _root(self) -> DirectoryEntry | None:
        """The part that is wanted, or None for the whole version."""
        if self._wish.part == "all":
            return None
        listed = self._sources.find(self._document.tree, self._wish.part.encode())
        if listed is None or not isinstance(listed.entry, DirectoryEntry):
            raise Refused("no-such-path", f"the version has no {self._wish.part}", "See `slidekeeper versions show --files`")
        return listed.entry

    def _entries(self, root: DirectoryEntry | None) -> Iterator[Listed]:
        return self._sources.entries(root.tree if root else self._document.tree, self._selection)

    def _fill(self, root: DirectoryEntry | None, crew: Crew) -> None:
        """Walk the version; folders and links are made here, files by the crew."""
        walk = _Walk(open_root(self._wish.to, None if self._selection.patterns else root), self, crew)
        try:
            for listed in self._entries(root):
                walk.take(listed)
        finally:
            walk.leave()

    def selected(self, path: bytes) -> bool:
        """Whether a folder is restored for its own sake."""
        return self._selection.wants(path)

    def note_missing(self, path: bytes) -> None:
        """The version lacks it."""
        self._restored.missing.append(path)

    def make_link(self, folder: Folder, name: bytes, entry: SymlinkEntry) -> None:
        """Restore a symbolic link."""
        if self._action(folder, name, Listed(name, entry)) is not Action.KEEP:
            folder.link(name, entry)
        self._restored.links += 1

    def restore_files(self, folder: Folder, batch: Sequence[tuple[bytes, Listed, FileEntry]]) -> None:
        """Restore files of one folder; called in threads."""
        copied, size, verified = 0, 0, 0
        for name, listed, entry in batch:
            action = self._action(folder, name, listed)
            if action is Action.COMPARE and self._is_there(folder, name, entry):
                verified += 1
            elif action is Action.COMPARE and not self._wish.overwrite:
                self._note(self._restored.differing, listed.path)
            elif self._copy(folder, name, listed, entry):
                copied, size = copied + 1, size + entry.size
        with self._lock:
            self._restored.files += copied
            self._restored.size += size
            self._restored.verified += verified

    def _action(self, folder: Folder, name: bytes, listed: Listed) -> Action:
        action = decide(listed.entry, folder.find(name), self._wish.overwrite)
        if action is Action.CONFLICT:
            raise _would_overwrite(1)
        return action

    def _is_there(self, folder: Folder, name: bytes, entry: FileEntry) -> bool:
        """Whether the file in the target has the version's bytes."""
        with target_errors():
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder.descriptor)
            try:
                if digest_file(descriptor, entry.size, self._watch.advance) != entry.sha256:
                    return False
                os.fchmod(descriptor, permissions(entry))
            finally:
                os.close(descriptor)
        return True

    def _copy(self, folder: Folder, name: bytes, listed: Listed, entry: FileEntry) -> bool:
        """Copy one file aside, and give it its name if it is what it must be."""
        with target_errors():
            target = folder.create(name)
        try:
            if self._sources.read(listed, entry, partial(copy_content, target=target, advance=self._watch.advance)):
                with target_errors():
                    os.fchmod(target, permissions(entry))
                    os.utime(target, ns=(entry.mtime, entry.mtime))
                    folder.publish(name)
                return True
        except BaseException:
            with suppress(OSError):
                folder.discard(name)
            raise
        finally:
            os.close(target)
        folder.discard(name)
        self._note(self._restored.damaged, listed.path)
        return False

    def _note(self, paths: list[bytes], path: bytes) -> None:
        with self._lock:
            paths.append(path)


class _Walk:
    """Where the walk through the version is: the folders above, and files of the innermost that wait for a batch to be full."""

    def __init__(self, root: Folder, restorer: _Restorer, crew: Crew) -> None:
        self._above: list[tuple[bytes, Folder]] = [(b"", root)]
        self._restorer = restorer
        self._crew = crew
        self._batch: list[tuple[bytes, Listed, FileEntry]] = []
        self._size = 0

    def take(self, listed: Listed) -> None:
        """The next entry."""
        above, _, name = listed.path.rpartition(b"/")
        while self._above[-1][0] != above:
            self._climb()
        folder = self._above[-1][1]
        match listed.entry:
            case DirectoryEntry() as entry:
                self._flush()
                self._above.append((listed.path, folder.enter(name, entry, self._restorer.selected(listed.path))))
            case FileEntry() as entry:
                self._add(name, listed, entry)
            case SymlinkEntry() as entry:
                self._restorer.make_link(folder, name, entry)
            case _:
                self._restorer.note_missing(listed.path)

    def leave(self) -> None:
        """Climb out of all folders."""
        while self._above:
            self._climb()

    def _add(self, name: bytes, listed: Listed, entry: FileEntry) -> None:
        self._batch.append((name, listed, entry))
        self._size += entry.size
        if len(self._batch) >= BATCH_FILES or self._size >= BATCH_BYTES:
            self._flush()

    def _climb(self) -> None:
        try:
            self._flush()
        finally:
            self._above.pop()[1].release()

    def _flush(self) -> None:
        batch, size, self._batch, self._size = self._batch, self._size, [], 0
        if batch:
            folder = self._above[-1][1]
            folder.hold()
            job = partial(self._restorer.restore_files, folder, batch)
            self._crew.submit(job, folder.release, small=size < BATCH_BYTES)


def open_root(place: Path, facts: DirectoryEntry | None) -> Folder:
    """Open the target's own folder, made where it is not there; a link to a folder is followed here, and only here."""
    with target_errors():
        fresh = not place.exists()
        place.mkdir(parents=True, exist_ok=True)
        return Folder(os.open(place, OPEN_FOLDER & ~os.O_NOFOLLOW), fresh=fresh, facts=facts)


def _would_overwrite(count: int) -> Refused:
    return Refused("would-overwrite", f"{count} things in the target are not the version's", "Choose an empty target, or say --overwrite")
