"""Types that carry clinical identifiers. The PHI fence: only intake, anonymize, records, the linking and the watch adapter may import this.

Everything here hides its value; what leaves these rooms speaks in pack ids and slide numbers.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.records import RecordsId


class Barcode(Concealed[str]):
    """The slide's clinical barcode: the stem of its image's file name."""

    __slots__ = ()


class RelativePath(Concealed[bytes]):
    """A path below a drop or records folder, as the bytes the file system gave (names need not be valid UTF-8)."""

    __slots__ = ()

    @property
    def session(self) -> bytes:
        """The scanner session's folder that it lies in, by which images and records find each other; empty for the root."""
        folder, separator, _ = self.reveal().partition(b"/")
        return folder if separator else b""


class Role(enum.StrEnum):
    """What a member is within its pack."""

    IMAGE = "image"
    THUMBNAIL = "thumbnail"
    BARCODE = "barcode"
    SIDECAR = "sidecar"
    TABLE = "table"
    """A CSV file of records."""
    SPECIAL = "special"
    """A symlink, FIFO, socket or device: never opened, reported instead."""


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """How a file is known again: never by device or inode number, which change with every mount and restore."""

    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a pack and the identity under which it was settled."""

    path: RelativePath
    role: Role
    identity: FileIdentity


@dataclass(frozen=True, slots=True)
class PackFiles:
    """The restricted half of a pack: where its files lie and which barcode names them."""

    pack: PackId
    drop: str
    batch: BatchId
    stem: RelativePath
    """What the members' names have in common within their directory; with the directory it tells packs apart."""
    barcode: Barcode
    members: tuple[Member, ...]

    @property
    def images(self) -> tuple[Member, ...]:
        """The members that are slide images; a sound pack has exactly one."""
        return tuple(member for member in self.members if member.role is Role.IMAGE)

    @property
    def size(self) -> int:
        """Sum of all members' sizes in bytes."""
        return sum(member.identity.size for member in self.members)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One CSV file of a batch, and the source whose contract it answers."""

    source: str
    member: Member


@dataclass(frozen=True, slots=True)
class RecordsFiles:
    """The restricted half of a batch's records: where its files lie."""

    records: RecordsId
    revision: int
    folder: RelativePath
    """The session's folder below the records folder; named like the session's folder below the drop folder."""
    files: tuple[SourceFile, ...]

    @property
    def size(self) -> int:
        """Sum of all files' sizes in bytes."""
        return sum(file.member.identity.size for file in self.files)
