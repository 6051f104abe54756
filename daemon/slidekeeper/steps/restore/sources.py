"""The store and its replicas as one source: what is damaged in one is taken from the next that has it whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from slidekeeper.errors import Permanent
from slidekeeper.model.stored import tree_key
from slidekeeper.model.tree import DirectoryEntry, FileEntry
from slidekeeper.ports.snapshots import Content, Listed, Versions
from slidekeeper.steps.restore.selection import Selection


@dataclass(frozen=True, slots=True)
class Sources:
    """Where stored bytes may be read, the store itself first."""

    stores: Sequence[Versions]

    def entries(self, tree: str, selection: Selection, under: bytes = b"") -> Iterator[Listed]:
        """Selected entries below a tree, folders before what is in them; other folders only where something selected is in them."""
        for listed in self._children(tree):
            path = under + b"/" + listed.path if under else listed.path
            wanted = selection.wants(path)
            if wanted:
                yield Listed(path, listed.entry, listed.pack)
            if isinstance(listed.entry, DirectoryEntry) and (wanted or selection.leads(path)):
                yield from self._below(Listed(path, listed.entry), selection, wanted)

    def find(self, tree: str, name: bytes) -> Listed | None:
        """One entry of a directory, or None."""
        return next((listed for listed in self._children(tree) if listed.path == name), None)

    def read(self, listed: Listed, entry: FileEntry, copy: Callable[[Content], str]) -> bool:
        """Hand the bytes of a file to ``copy``, which digests them, until the digest is right; False when no store has them whole."""
        for store in self.stores:
            try:
                with store.open(entry, listed.pack) as content:
                    if copy(content) == entry.sha256:
                        return True
            except Permanent as damaged:
                if damaged.reason != "version-damaged":
                    raise
        return False

    def _below(self, folder: Listed, selection: Selection, wanted: bool) -> Iterator[Listed]:
        assert isinstance(folder.entry, DirectoryEntry)  # noqa: S101
        announced = wanted
        for listed in self.entries(folder.entry.tree, selection, folder.path):
            if not announced:
                yield folder
                announced = True
            yield listed

    def _children(self, tree: str) -> Iterator[Listed]:
        """From the first store whose tree is sound; with one store only, its damage shows when it is read."""
        for store in self.stores[:-1]:
            if store.verify(tree_key(tree)) is None:
                return store.children(tree)
        return self.stores[-1].children(tree)
