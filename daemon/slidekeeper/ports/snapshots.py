"""The version store: immutable versions of training runs, content-addressed, written once. `docs/version-store.md` is its format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from slidekeeper.model.tree import Entry, FileEntry
from slidekeeper.model.version import VersionDocument, VersionReference


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry with the way to it."""

    path: bytes
    """Relative to the version's root, ``/`` between names."""
    entry: Entry
    pack: str = ""
    """Name of the pack that holds a small file's content; empty for a blob, and for what is no file."""


@dataclass(frozen=True, slots=True)
class Content:
    """Where the bytes of a stored file lie: a range of an open file."""

    descriptor: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Damage:
    """One stored object that is not what its name says."""

    key: str
    """Relative to the store's root."""
    reason: str
    """``missing``, ``changed``, ``unreadable``."""


class Versions(Protocol):
    """Reads the version store; needs no daemon. Synchronous: called in threads.

    Every method raises ``Unavailable("bucket", …)`` where the bucket cannot be used, and ``Permanent("version-damaged", …)`` where an
    object is missing or not what its name says.
    """

    def projects(self) -> Sequence[str]:
        """Names of all projects, sorted."""
        ...

    def numbers(self, project: str) -> Sequence[int]:
        """Numbers of a project's versions, ascending; empty when there is no such project."""
        ...

    def document(self, project: str, number: int) -> VersionDocument:
        """One version.

        Raises:
            Refused: ``unknown-version``.
        """
        ...

    def find(self, reference: VersionReference) -> VersionDocument:
        """The version that somebody named; the newest where several fit.

        Raises:
            Refused: ``unknown-project``, ``unknown-version``.
        """
        ...

    def children(self, tree: str) -> Iterator[Listed]:
        """Entries of one directory by name; read as they are asked for."""
        ...

    def walk(self, tree: str, under: bytes = b"") -> Iterator[Listed]:
        """All entries below a tree, depth first by name, directories before what is in them; in memory of one directory each.

        ``under`` is the path of ``tree`` within its version.
        """
        ...

    def open(self, entry: FileEntry, pack: str) -> AbstractContextManager[Content]:
        """The stored bytes of a file; not verified: who copies them digests them in the same pass."""
        ...

    def verify(self, key: str) -> Damage | None:
        """Read one stored object (blob, pack, tree or version) and say what is wrong with it, or None."""
        ...
