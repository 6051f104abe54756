"""Drop folders: listing, hints, availability and reading of what scanners leave, and the restricted index of what is known of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from slidekeeper.model.identity import BatchId, PackId

if TYPE_CHECKING:
    from slidekeeper.model.phi import FileIdentity, Member, PackFiles, RelativePath


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry that the index does not know yet, or knows with another identity. ``special`` is anything but a regular file."""

    path: RelativePath
    identity: FileIdentity
    special: str = ""
    """``symlink``, ``fifo``, ``socket``, ``device``, or empty for a regular file."""


class Drop(Protocol):
    """One watched root. Synchronous methods are called in threads; picklable, so that a worker can open members."""

    @property
    def name(self) -> str:
        """The site's name for this drop folder."""
        ...

    def check_available(self) -> None:
        """Return if the root is there and is the file system it should be; else raise ``Unavailable("drop:<name>", …)``."""
        ...

    def open(self, member: Member) -> BinaryIO:
        """Open a member for reading, following no symlink on the way.

        Raises:
            SourceChanged: it is not there, or not the file that settled.
            Temporary: it cannot be read.
        """
        ...

    def identify(self, path: RelativePath) -> FileIdentity | None:
        """The file's identity now, or None when it is gone."""
        ...

    def is_being_written(self, path: RelativePath) -> bool:
        """Whether a local writer certainly has the file open (a read lease is refused); False where that cannot be told."""
        ...

    def delete(self, member: Member) -> None:
        """Remove a member that is still the file that settled."""
        ...


class Scan(Protocol):
    """Finds what is new below a root; the truth that hints only hurry along."""

    def all(self) -> Iterator[Sequence[Entry]]:
        """Reconcile the whole tree: portions of unknown or changed entries. Runs in a thread, bounded memory."""
        ...

    def directory(self, path: RelativePath) -> Sequence[Entry]:
        """Reconcile one directory that a hint named."""
        ...


class Hints(Protocol):
    """Wakes the scan; never trusted to be complete."""

    def directories(self) -> AsyncIterator[frozenset[RelativePath] | None]:
        """Directories in which something happened, coalesced; None asks for a scan of the whole tree (overflow, remount)."""
        ...

    @property
    def degraded(self) -> str:
        """Why hints are known to be incomplete (``watch-limit``, ``not-local`` …), or an empty string."""
        ...

    async def close(self) -> None:
        """Stop watching."""
        ...


class KnownFiles(Protocol):
    """Intake's restricted index: which files belong to which pack, and what is known and done. Survives restarts."""

    async def find(self, pack: PackId) -> PackFiles | None:
        """The files of a pack."""
        ...

    async def remember(self, packs: Sequence[PackFiles]) -> None:
        """Insert or replace packs with their files, in one transaction."""
        ...

    async def forget(self, pack: PackId) -> None:
        """Remove a pack and its files from the index (they were deleted)."""
        ...

    async def open_batch(self, drop: str, folder: RelativePath) -> BatchId | None:
        """The open batch of a folder, or None."""
        ...
