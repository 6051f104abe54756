"""Copies versions from one store to another, each object verified on its way.

What a tree needs is there before the tree, and the version comes last: a tree that the copy holds needs no second look, and whatever
version it shows is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from slidekeeper.adapters.snapshots.kernel import rename_new
from slidekeeper.adapters.snapshots.layout import ASIDE, FILE_MODE, OBJECT_KEY, object_key, version_key
from slidekeeper.adapters.snapshots.posix import PosixSnapshots, store_lock
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.adapters.snapshots.sealing import Sealing
from slidekeeper.adapters.snapshots.troubles import damaged, store_errors
from slidekeeper.model.tree import DirectoryEntry, FileEntry

BUFFER_BYTES = 1 << 20


class ReplicaSnapshots(PosixSnapshots):
    """Implements :class:`slidekeeper.ports.replica.VersionCopier`: a store that holds copies of another's versions."""

    def __init__(self, bucket: Path, origin: PosixVersions, *, mount: bool = False, immutable: bool = True) -> None:
        super().__init__(bucket, Path(os.devnull), mount=mount, immutable=immutable)
        self._origin = origin

    def copy(self, project: str, number: int) -> None:
        """Copy a version and everything that it needs.

        Raises:
            Permanent: ``version-damaged``, the original is; nothing of the damage is copied.
            Unavailable: one of the stores cannot be used.
        """
        self._check_usable()
        document = self._origin.document(project, number)
        with store_errors(), self._adding() as sealing:
            self._copy_tree(document.tree, sealing)
            self._copy_object(version_key(project, number), sealing)

    @contextmanager
    def _adding(self) -> Iterator[Sealing]:
        self._prepare()
        sealing = Sealing(self._immutable)
        with store_lock(self.root, fcntl.LOCK_SH):
            self._aside.mkdir(exist_ok=True)
            try:
                yield sealing
            finally:
                sealing.close_all()
                shutil.rmtree(self._aside, ignore_errors=True)

    @property
    def _aside(self) -> Path:
        return self.root / ASIDE / f"copies-{os.getpid()}"

    def _copy_tree(self, tree: str, sealing: Sealing) -> None:
        key = object_key("trees", tree)
        if (self.root / key).exists():
            return
        for listed in self._origin.children(tree):
            match listed.entry:
                case DirectoryEntry(tree=below):
                    self._copy_tree(below, sealing)
                case FileEntry(sha256=content):
                    self._copy_object(object_key("packs", listed.pack) if listed.pack else object_key("blobs", content), sealing)
        self._copy_object(key, sealing)

    def _copy_object(self, key: str, sealing: Sealing) -> None:
        if (self.root / key).exists():
            return
        part = self._aside / key.replace("/", "-")
        digest = self._copy_bytes(key, part)
        match = OBJECT_KEY.fullmatch(key)
        if match and digest != match["digest"]:
            part.unlink()
            raise damaged(f"one of its {match['kind']} has changed")
        with suppress(FileExistsError):  # another process was quicker
            sealing.add((self.root / key).parent, lambda: rename_new(str(part), str(self.root / key)))
        sealing.seal(self.root / key)
        _sync_folder((self.root / key).parent)

    def _copy_bytes(self, key: str, part: Path) -> str:
        """Copy an object aside, durably; returns its SHA-256."""
        digest = hashlib.sha256()
        with self._origin.object(key) as source, part.open("wb") as target:
            while data := source.read(BUFFER_BYTES):
                digest.update(data)
                target.write(data)
            target.flush()
            os.fchmod(target.fileno(), FILE_MODE)
            os.fsync(target.fileno())
        return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
