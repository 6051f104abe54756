"""Answers what the store holds, by name, with a memory for packs, of which many files ask for few."""

from __future__ import annotations

import os
from pathlib import Path

from slidekeeper.adapters.snapshots.known_files import KnownFile
from slidekeeper.adapters.snapshots.layout import object_key
from slidekeeper.adapters.snapshots.troubles import store_errors


class Holdings:
    """What lies in the store while one capture runs; nothing is removed meanwhile, for the capture holds the store's lock."""

    def __init__(self, store: Path) -> None:
        self._store = os.fspath(store)
        self._packs: dict[bytes, bool] = {}

    def has(self, known: KnownFile) -> bool:
        """Whether the content of a file that an earlier capture read is still there."""
        return self.has_blob(known.digest) if known.pack is None else self.has_pack(known.pack)

    def has_blob(self, digest: bytes) -> bool:
        """Whether there is such a blob."""
        return self._is_there(object_key("blobs", digest.hex()))

    def has_pack(self, digest: bytes) -> bool:
        """Whether there is such a pack."""
        if digest not in self._packs:
            self._packs[digest] = self._is_there(object_key("packs", digest.hex()))
        return self._packs[digest]

    def has_tree(self, digest: str) -> bool:
        """Whether there is such a tree."""
        return self._is_there(object_key("trees", digest))

    def _is_there(self, key: str) -> bool:
        try:
            with store_errors():
                os.stat(f"{self._store}/{key}")
        except FileNotFoundError:
            return False
        return True
