"""Which stored objects a version needs. Directories that versions share are walked once: a thousand versions cost what differs among them.

In memory are the names of the distinct directories and objects that were seen, about 100 bytes each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slidekeeper.errors import Permanent
from slidekeeper.model.stored import blob_key, pack_key, tree_key, version_key
from slidekeeper.model.tree import DirectoryEntry, FileEntry
from slidekeeper.model.version import VersionDocument
from slidekeeper.ports.snapshots import Listed, Versions


class Needs:
    """The objects of versions, each told once."""

    def __init__(self, store: Versions) -> None:
        self._store = store
        self._seen: set[bytes] = set()
        self.broken: set[str] = set()
        """Keys of trees that could not be read to their end: what they need is not known."""

    def of(self, documents: Iterable[VersionDocument]) -> Iterator[str]:
        """Keys of everything that these versions need and that was not told yet; a tree before what is in it."""
        for document in documents:
            yield version_key(document.project, document.version)
            yield from self._of_tree(document.tree)

    def has(self, digest: str) -> bool:
        """Whether an object with this digest was told."""
        return bytes.fromhex(digest) in self._seen

    def _of_tree(self, tree: str) -> Iterator[str]:
        waiting = [tree]
        while waiting:
            tree = waiting.pop()
            if self._is_new(tree):
                yield tree_key(tree)
                yield from self._in_tree(tree, waiting)

    def _in_tree(self, tree: str, waiting: list[str]) -> Iterator[str]:
        try:
            for listed in self._store.children(tree):
                if isinstance(listed.entry, DirectoryEntry):
                    waiting.append(listed.entry.tree)
                elif isinstance(listed.entry, FileEntry) and self._is_new(_holder(listed, listed.entry)):
                    yield pack_key(listed.pack) if listed.pack else blob_key(listed.entry.sha256)
        except Permanent:
            self.broken.add(tree_key(tree))

    def _is_new(self, digest: str) -> bool:
        raw = bytes.fromhex(digest)
        if raw in self._seen:
            return False
        self._seen.add(raw)
        return True


def _holder(listed: Listed, entry: FileEntry) -> str:
    return listed.pack or entry.sha256
