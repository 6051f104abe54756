"""One version in the making: what is read is written aside, made durable, moved to its names, and counts with one exclusive create."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path

from slidekeeper import __version__
from slidekeeper.adapters.snapshots.aside import Aside
from slidekeeper.adapters.snapshots.contents import Contents
from slidekeeper.adapters.snapshots.documents import encode_document
from slidekeeper.adapters.snapshots.gathering import Gathering
from slidekeeper.adapters.snapshots.holdings import Holdings
from slidekeeper.adapters.snapshots.kernel import rename_new, sync_file_system
from slidekeeper.adapters.snapshots.known_files import KnownFiles
from slidekeeper.adapters.snapshots.layout import FILE_MODE, VERSION_FILE, VERSIONS, version_key
from slidekeeper.adapters.snapshots.packing import Packs
from slidekeeper.adapters.snapshots.planting import Planter
from slidekeeper.adapters.snapshots.sealing import Sealing
from slidekeeper.adapters.snapshots.spool import Spool
from slidekeeper.adapters.snapshots.troubles import store_errors
from slidekeeper.model.tree import DirectoryEntry
from slidekeeper.model.version import VersionDocument
from slidekeeper.ports.snapshots import LeavesOut, Source, VersionLabel


class PosixCapture:
    """Implements :class:`slidekeeper.ports.snapshots.Capture`; ``stack`` ends it."""

    def __init__(self, store: Path, known: KnownFiles, sealing: Sealing, readers: int, stack: ExitStack) -> None:
        self._store = store
        self._known = known
        self._sealing = sealing
        self._holdings = Holdings(store)
        self._aside = Aside(store)
        stack.callback(self._aside.remove)
        self._spool = Spool(self._aside.folder)
        stack.callback(self._spool.close)
        self._packs = Packs(self._aside.new_path, lambda path, name: self._aside.keep(path, "packs", name))
        stack.callback(self._packs.close)
        self._gathering = Gathering(self._spool, known, self._holdings, self._packs, Contents(self._aside, readers), self._aside)
        stack.callback(self._gathering.close)
        self._tree: DirectoryEntry | None = None

    def take(self, sources: Sequence[Source], files: Mapping[str, bytes], leaves_out: LeavesOut) -> None:
        """Read the sources into a tree; see the port."""
        self._gather(sources, files, leaves_out)
        with store_errors():
            self._packs.finish()
            planter = Planter(self._packs.names, self._keep_tree, self._aside.folder)
            self._tree = planter.plant(self._spool.read())

    def commit(self, label: VersionLabel) -> VersionDocument:
        """Make it a version; see the port."""
        with store_errors():
            self._place_objects()
            document = self._place_document(label)
        self._known.keep(self._packs.names)
        return document

    def _gather(self, sources: Sequence[Source], files: Mapping[str, bytes], leaves_out: LeavesOut) -> None:
        """Everything in the order of the root's tree."""
        parts: list[tuple[str, Source | bytes]] = [*((source.name, source) for source in sources), *files.items()]
        parts.sort(key=lambda part: part[0].encode().split(b"/"))
        self._gathering.enter(b"root")
        for first, group in groupby(parts, key=lambda part: part[0].partition("/")[0]):
            inner = [(name.partition("/")[2], what) for name, what in group]
            if inner[0][0]:
                self._gathering.enter(first.encode())
                for name, what in inner:
                    self._add(name, what, leaves_out)
                self._gathering.leave()
            else:
                self._add(first, inner[0][1], leaves_out)
        self._gathering.leave()

    def _add(self, name: str, what: Source | bytes, leaves_out: LeavesOut) -> None:
        if isinstance(what, Source):
            self._gathering.add_folder(name.encode(), what, leaves_out)
        else:
            self._gathering.add_data(name.encode(), what)

    def _keep_tree(self, digest: str, portions: Iterable[bytes]) -> None:
        if self._holdings.has_tree(digest) or self._aside.has("trees", digest):
            return
        path = self._aside.new_path()
        with path.open("xb") as stream:
            stream.writelines(portions)
        self._aside.keep(path, "trees", digest)

    def _place_objects(self) -> None:
        """Objects are durable before they have names, and their names before a version needs them."""
        self._aside.announce(key for _, key in self._aside.objects())
        self._sync()
        for path, key in self._aside.objects():
            self._place(path, self._store / key)
        self._sealing.close_all()
        self._sync()

    def _place(self, path: Path, target: Path) -> None:
        """Move a finished file to its name, and seal it; where another capture was quicker, its file is as good."""
        try:
            self._sealing.add(target.parent, lambda: rename_new(str(path), str(target)))
        except FileExistsError:
            path.unlink()
        self._sealing.seal(target)

    def _place_document(self, label: VersionLabel) -> VersionDocument:
        """The commit: whoever creates the number's file first has it, everybody else takes the next."""
        folder = self._store / VERSIONS / label.project
        number = _newest(folder)
        while True:
            number += 1
            document = self._document(label, number)
            path = self._write_document(document)
            target = self._store / version_key(label.project, number)
            try:
                self._sealing.add(folder, lambda path=path, target=target: rename_new(str(path), str(target)))  # type: ignore[misc]
            except FileExistsError:
                continue
            self._sealing.seal(target)
            self._sealing.close_all()
            for changed in (folder, folder.parent):
                _sync_folder(changed)
            return document

    def _write_document(self, document: VersionDocument) -> Path:
        path = self._aside.new_path()
        with path.open("xb") as stream:
            stream.write(encode_document(document))
            stream.flush()
            os.fsync(stream.fileno())
        path.chmod(FILE_MODE)
        return path

    def _document(self, label: VersionLabel, number: int) -> VersionDocument:
        tree = self._tree
        if tree is None:
            raise AssertionError("nothing was taken")
        return VersionDocument(
            project=label.project,
            version=number,
            created=label.created,
            tree=tree.tree,
            status=label.status,
            message=label.message,
            run=label.run,
            by=label.by,
            policy=label.policy,
            files=tree.files,
            size=tree.size,
            added=self._gathering.added,
            missing=tree.missing,
            slidekeeper=__version__,
        )

    def _sync(self) -> None:
        descriptor = os.open(self._store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_file_system(descriptor)
        finally:
            os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _newest(folder: Path) -> int:
    """The highest number in a project's folder, 0 for none."""
    try:
        matches = [VERSION_FILE.fullmatch(name) for name in os.listdir(folder)]
    except FileNotFoundError:
        return 0
    return max((int(match[1]) for match in matches if match), default=0)
