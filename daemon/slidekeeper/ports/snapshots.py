"""The version store: immutable versions of training runs, content-addressed, written once. `docs/version-store.md` is its format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from slidekeeper.model.run import RunStatus
from slidekeeper.model.tree import Entry, FileEntry
from slidekeeper.model.version import RunOfVersion, VersionDocument, VersionReference


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


LeavesOut: TypeAlias = Callable[[bytes, bool], bool]
"""Whether something is left out of a version: its path relative to the source's folder, and whether it is a directory."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder that goes into a version."""

    name: str
    """Where it goes: ``artifacts``, ``code/<name>``."""
    anchor: str
    """Absolute path of a folder that is trusted."""
    below: str = ""
    """The way from there to the source; no symbolic link on it is followed. Empty for the anchor itself."""


@dataclass(frozen=True, slots=True)
class VersionLabel:
    """What a version says of itself, beside its content."""

    project: str
    created: datetime
    status: RunStatus
    message: str
    run: RunOfVersion
    by: str
    policy: str


class Capture(Protocol):
    """A version in the making: nothing of it is part of the store before it is committed."""

    def take(self, sources: Sequence[Source], files: Mapping[str, bytes], leaves_out: LeavesOut) -> None:
        """Read the sources, each file once, and write what the store does not hold yet aside; ``files`` are put beside the folders.

        Raises:
            Permanent: ``run-vanished``, a source is not there; ``run-too-deep``.
            Temporary: ``run-changed``, something changed while it was read; ``run-unreadable``, its file system fails.
            Unavailable: the bucket cannot be written.
        """
        ...

    def commit(self, label: VersionLabel) -> VersionDocument:
        """Make all of it one version, durably, under the project's next free number; one exclusive create decides.

        Raises:
            Unavailable: the bucket cannot be written.
        """
        ...


class Snapshots(Versions, Protocol):
    """Adds versions to the store. Nothing that is stored is ever rewritten."""

    def begin(self) -> AbstractContextManager[Capture]:
        """A new version in the making; what is not committed when it ends leaves nothing."""
        ...

    def check(self, document: VersionDocument) -> None:
        """Prove that a version can be read: all trees are whole, every file is there in its size. Its bytes are not read.

        Raises:
            Permanent: ``version-damaged``.
        """
        ...

    def sweep(self) -> int:
        """Remove what captures that were killed left aside, and seal what they left open; returns how many there were."""
        ...
