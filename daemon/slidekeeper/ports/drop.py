"""Drop folders: listing, hints, availability and reading of what scanners leave, and the restricted index of what is known of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

from slidekeeper.model.identity import BatchId, PackId

if TYPE_CHECKING:
    from slidekeeper.model.phi import FileIdentity, Member, PackFiles, RelativePath


@dataclass(frozen=True, slots=True)
class Sighting:
    """One file as it was seen."""

    path: RelativePath
    identity: FileIdentity
    special: str = ""
    """``symlink``, ``fifo``, ``socket``, ``device``, or empty for a regular file."""
    links: int = 1
    """Number of hard links."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A directory as it was listed: its modification time before, and when that was, in seconds since the epoch."""

    directory: bytes
    mtime_ns: int
    at: float

    @classmethod
    def never(cls, directory: bytes) -> Listing:
        """A directory that the next scan lists, whatever its modification time: something in it is still to be taken in."""
        return cls(directory, -1, 0.0)


@dataclass(frozen=True, slots=True)
class Portion:
    """A part of a scan: unknown or changed files, the directories that are thereby fully listed, and what is gone."""

    sightings: Sequence[Sighting]
    listed: Sequence[Listing]
    gone: Sequence[RelativePath] = ()
    """Files that the index knows and that are not there any more."""
    gone_directory: bytes | None = None
    """A directory that is not there any more; its files were told before."""


class Drop(Protocol):
    """One watched root. Synchronous: called in threads; picklable, so that a worker can open members."""

    @property
    def name(self) -> str:
        """The site's name for this drop folder."""
        ...

    def check_available(self) -> None:
        """Return if the root is there and is the file system it should be; else raise ``Unavailable("drop:<name>", …)``."""
        ...

    def open(self, member: Member) -> AbstractContextManager[BinaryIO]:
        """Open a member for reading, following no symlink on the way.

        What goes wrong with reading inside the block is told in the drop folder's words as well.

        Raises:
            SourceChanged: it is not there, or not the file that settled.
            Permanent: ``unreadable``.
            Unavailable: the drop folder's mount is stale, lost or failing.
            Temporary: the file system does not answer as it should.
        """
        ...

    def see(self, path: RelativePath) -> Sighting | None:
        """The file as it is now, or None when it is gone."""
        ...

    def identify(self, path: RelativePath) -> FileIdentity | None:
        """The file's identity now, or None when it is gone."""
        ...

    def is_being_written(self, path: RelativePath) -> bool:
        """Whether a local writer certainly has the file open (a read lease is refused); False where that cannot be told."""
        ...

    def delete(self, member: Member) -> None:
        """Remove a member that is still the file that settled.

        Raises:
            Permanent: ``permission``.
        """
        ...


class Scan(Protocol):
    """Finds what is new below a root: the truth that hints only hurry along. Synchronous, bounded memory."""

    def everything(self) -> Iterator[Portion]:
        """Reconcile the whole tree with the index."""
        ...

    def look(self, paths: Sequence[RelativePath]) -> Iterator[Portion]:
        """Reconcile single files, and directories with all below them."""
        ...

    @property
    def directories(self) -> int:
        """Number of directories in the tree, as of the last scan."""
        ...

    @property
    def unreadable(self) -> int:
        """Number of directories with something that could not be looked at, as of the last scan."""
        ...


class Hints(Protocol):
    """Wakes the scan; never trusted to be complete."""

    def start(self) -> None:
        """Begin, or begin anew after the root was away. Never raises: what does not work shows in :attr:`degraded`."""
        ...

    def paths(self) -> AsyncIterator[frozenset[RelativePath] | None]:
        """Files and directories where something happened, coalesced; None asks for a scan of the whole tree."""
        ...

    def is_deaf(self) -> bool:
        """Whether the observer died, or watches a root that is no longer the one at this path."""
        ...

    def watches(self) -> int | None:
        """Watches that this root holds, one for each directory, or None where it is not watched."""
        ...

    @property
    def limit(self) -> int | None:
        """Watches that the kernel allows, or None where this root is not watched."""
        ...

    @property
    def degraded(self) -> str:
        """Why hints are known to be incomplete (``watch-limit``, ``unreachable``, ``watch-failed``), or an empty string."""
        ...

    def stop(self) -> None:
        """Stop watching."""
        ...


class KnownFiles(Protocol):
    """Intake's restricted index: which files belong to which pack. Survives restarts."""

    async def find(self, pack: PackId) -> PackFiles | None:
        """The files of a pack."""
        ...

    async def find_named(self, drop: str, folder: bytes, stem: bytes) -> PackFiles | None:
        """The newest pack of this stem in this directory."""
        ...

    async def remember(self, packs: Sequence[PackFiles]) -> None:
        """Insert or replace packs with their files, in one transaction."""
        ...

    async def announced(self, packs: Sequence[PackId]) -> None:
        """Note that the journal knows these packs."""
        ...

    async def unannounced(self) -> Sequence[PackFiles]:
        """Packs of which the journal may not know, because a crash came in between."""
        ...

    async def listed(self, drop: str, directories: Sequence[Listing]) -> None:
        """Note directories whose files are all known."""
        ...

    async def forget(self, pack: PackId) -> None:
        """Remove a pack and its files (they were deleted)."""
        ...

    async def owners(self, drop: str, files: Sequence[RelativePath]) -> Mapping[RelativePath, PackId]:
        """The packs that known files belong to."""
        ...

    async def forget_files(self, drop: str, files: Sequence[RelativePath]) -> None:
        """Remove files, and packs of which none is left."""
        ...

    async def forget_directory(self, drop: str, directory: bytes) -> None:
        """Remove what is known of a directory and those below, as far as no known file is in them."""
        ...

    async def open_batch(self, drop: str, folder: bytes) -> BatchId | None:
        """The open batch of a scanner session's folder, or None."""
        ...

    async def begin_batch(self, batch: BatchId, drop: str, folder: bytes) -> None:
        """Note a new open batch."""
        ...

    async def end_batch(self, batch: BatchId) -> None:
        """Note that a batch is closed; the next pack in its folder begins another."""
        ...

    async def open_batches(self) -> Sequence[tuple[BatchId, str]]:
        """All open batches with their drop folders' names."""
        ...

    async def is_new_marker(self, drop: str, path: RelativePath, identity: FileIdentity) -> bool:
        """Whether this READY marker was not noted before."""
        ...

    async def note_marker(self, drop: str, path: RelativePath, identity: FileIdentity) -> None:
        """Note that this READY marker was heard."""
        ...
