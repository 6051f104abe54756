"""Where a capture writes before anything of it belongs to the store: a folder of its own, gone when the capture ends."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from slidekeeper.adapters.snapshots.layout import ASIDE, FILE_MODE, SUFFIXES, ObjectKind, object_key

PLACING = "placing"
"""Keys of the objects that are moved to their places; who finds it after a kill seals them."""


class Aside:
    """One capture's folder; the store's lock, which the capture holds, tells that it is in use."""

    def __init__(self, store: Path) -> None:
        self.folder = store / ASIDE / secrets.token_hex(8)
        self.folder.mkdir(0o700)
        self._files = 0
        for kind in SUFFIXES:
            (self.folder / kind).mkdir(0o700)

    def new_path(self) -> Path:
        """A name that nothing has; called by one thread."""
        self._files += 1
        return self.folder / f"{self._files:x}"

    def has(self, kind: ObjectKind, digest: str) -> bool:
        """Whether such an object lies here."""
        return (self.folder / kind / digest).exists()

    def keep(self, path: Path, kind: ObjectKind, digest: str) -> None:
        """A file is finished, and known by its digest; it is not written any more."""
        path.chmod(FILE_MODE)
        path.replace(self.folder / kind / digest)

    def objects(self) -> Iterator[tuple[Path, str]]:
        """Everything that was kept, with the key it goes to."""
        kinds: tuple[ObjectKind, ...] = ("blobs", "packs", "trees")
        for kind in kinds:
            for name in sorted(os.listdir(self.folder / kind)):
                yield self.folder / kind / name, object_key(kind, name)

    def announce(self, keys: Iterator[str]) -> None:
        """Note what will be moved; durable with the sync that makes the objects durable."""
        with (self.folder / PLACING).open("w") as stream:
            stream.writelines(f"{key}\n" for key in keys)

    def remove(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)


def placing(folder: Path) -> list[str]:
    """Keys of the objects that a killed capture was moving to their places."""
    try:
        return (folder / PLACING).read_text().split()
    except FileNotFoundError:
        return []
