"""Reads the directories of a TIFF or BigTIFF file, both byte orders, trusting nothing.

Source: TIFF 6.0 (Adobe, 1992) section 2 "TIFF structure"; BigTIFF (Aware Systems, 2011).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from slidekeeper.errors import Permanent
from slidekeeper.ports.formats import Source

CLASSIC_VERSION, BIG_HEADER = 42, (43, 8, 0)
"""The version number of classic TIFF; version, offset size and reserved word of BigTIFF."""

SUB_DIRECTORIES = 330
MAX_DIRECTORIES = 1000
MAX_ENTRIES = 4096
MAX_VALUE_BYTES = 64 * 1024 * 1024
"""Longest value that is read: the offsets of eight million tiles."""

TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of one element, by TIFF field type; 16-18 are BigTIFF's."""

INTEGER_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""struct's codes of the unsigned field types."""

ASCII = 2


@dataclass(frozen=True, slots=True)
class Dialect:
    """How this file writes numbers: byte order and the widths that differ between TIFF and BigTIFF."""

    order: str
    big: bool

    @property
    def offset_code(self) -> str:
        """struct's code of an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def count_code(self) -> str:
        """struct's code of a directory's number of entries."""
        return self.order + ("Q" if self.big else "H")

    @property
    def entry_code(self) -> str:
        """struct's code of an entry: tag, type, count, value field."""
        return self.order + ("HHQ8s" if self.big else "HHI4s")

    @property
    def inline_bytes(self) -> int:
        """Bytes of an entry's value field."""
        return 8 if self.big else 4

    @property
    def header_bytes(self) -> int:
        """Bytes of the file header."""
        return 16 if self.big else 8

    def header(self, first: int) -> bytes:
        """The file header that points at the first directory."""
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            return mark + struct.pack(self.order + "HHHQ", 43, 8, 0, first)
        return mark + struct.pack(self.order + "HI", 42, first)


@dataclass(frozen=True, slots=True)
class Entry:
    """One directory entry; ``offset`` is where its value lies in the file, inline or not."""

    tag: int
    type: int
    count: int
    offset: int
    inline: bool
    field: bytes = b""
    """The value field, which holds an inline value."""

    @property
    def length(self) -> int:
        """Bytes of the value."""
        return self.count * TYPE_SIZES.get(self.type, 1)


@dataclass(frozen=True, slots=True)
class Directory:
    """One image file directory; ``length`` covers count, entries and the pointer to the next."""

    offset: int
    length: int
    entries: tuple[Entry, ...]
    next: int
    subs: tuple[Directory, ...] = field(default=())
    unknown: tuple[Entry, ...] = field(default=())
    """Entries of field types nobody knows, one byte for each element: what cannot be read is not kept, but may be text."""

    def entry(self, tag: int) -> Entry | None:
        """The entry of a tag, or None."""
        return next((entry for entry in self.entries if entry.tag == tag), None)


@dataclass(frozen=True, slots=True)
class Tiff:
    """A parsed file."""

    dialect: Dialect
    directories: tuple[Directory, ...]
    source: Source

    def everyone(self) -> Iterator[Directory]:
        """All directories, sub-directories behind their parents."""
        for directory in self.directories:
            yield directory
            yield from directory.subs

    def value(self, entry: Entry) -> bytes:
        """The bytes of an entry's value.

        Raises:
            Permanent: it is longer than any sensible value, or lies outside the file.
        """
        if entry.length > MAX_VALUE_BYTES:
            raise Permanent("malformed-tiff", f"the value of tag {entry.tag} is too long")
        if entry.inline:
            return entry.field[: entry.length]
        return _read(self.source, entry.offset, entry.length)

    def integers(self, entry: Entry) -> tuple[int, ...]:
        """The elements of an unsigned integer entry.

        Raises:
            Permanent: the entry has another type.
        """
        code = INTEGER_CODES.get(entry.type)
        if code is None:
            raise Permanent("malformed-tiff", f"tag {entry.tag} has type {entry.type}, which is no unsigned integer")
        return struct.unpack(f"{self.dialect.order}{entry.count}{code}", self.value(entry))


def is_tiff(source: Source) -> bool:
    """Whether the file begins as TIFF or BigTIFF."""
    try:
        return _dialect_of(source) is not None
    except EOFError:
        return False


def read_tiff(source: Source) -> Tiff:
    """Read all directories, once for each source.

    Raises:
        Permanent: ``truncated``, ``directory-loop``, ``too-many-directories`` or ``malformed-tiff``.
    """
    if "tiff" not in source.parsed:
        source.parsed["tiff"] = _parsed(source)
    return cast(Tiff, source.parsed["tiff"])


def _parsed(source: Source) -> Tiff:
    try:
        dialect = _dialect_of(source)
    except EOFError:
        dialect = None
    if dialect is None:
        raise Permanent("malformed-tiff", "the file has no TIFF header")
    reader = _Reader(source, dialect)
    first = struct.unpack(dialect.offset_code, _read(source, 8 if dialect.big else 4, struct.calcsize(dialect.offset_code)))[0]
    if first == 0:
        raise Permanent("truncated", "the header points at no directory yet")
    return Tiff(dialect, tuple(reader.chain(first)), source)


def _dialect_of(source: Source) -> Dialect | None:
    start = source.read_at(0, 8)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    if order is None:
        return None
    version, size, zero = struct.unpack(order + "HHH", start[2:8])
    if version == CLASSIC_VERSION:
        return Dialect(order, big=False)
    return Dialect(order, big=True) if (version, size, zero) == BIG_HEADER else None


def _read(source: Source, offset: int, length: int) -> bytes:
    try:
        if offset + length > source.size:
            raise EOFError
        return source.read_at(offset, length)
    except EOFError:
        raise Permanent("truncated", "a structure lies past the end of the file") from None


def directories_behind(tiff: Tiff, pointer: Entry) -> Iterator[Directory]:
    """The directories that an entry points at, as far as they can be read; they may point anywhere, at each other too."""
    reader = _Reader(tiff.source, tiff.dialect)
    for offset in tiff.integers(pointer)[:MAX_DIRECTORIES]:
        with suppress(Permanent):
            yield from reader.chain(offset, nested=True)


class _Reader:
    """Follows directories, each at most once."""

    def __init__(self, source: Source, dialect: Dialect) -> None:
        self._source = source
        self._dialect = dialect
        self._seen: set[int] = set()

    def chain(self, offset: int, nested: bool = False) -> Iterator[Directory]:
        """The directories that begin at ``offset``."""
        while offset:
            directory = self._directory(offset, nested)
            yield directory
            offset = directory.next

    def _directory(self, offset: int, nested: bool) -> Directory:
        if offset in self._seen:
            raise Permanent("directory-loop", "a directory points back at another")
        if len(self._seen) >= MAX_DIRECTORIES:
            raise Permanent("too-many-directories", f"more than {MAX_DIRECTORIES} directories")
        self._seen.add(offset)
        dialect = self._dialect
        head = struct.calcsize(dialect.count_code)
        count = struct.unpack(dialect.count_code, _read(self._source, offset, head))[0]
        if not 0 < count <= MAX_ENTRIES:
            raise Permanent("malformed-tiff", f"a directory claims {count} entries")
        size = struct.calcsize(dialect.entry_code)
        tail = struct.calcsize(dialect.offset_code)
        body = _read(self._source, offset + head, count * size + tail)
        entries = tuple(self._entry(body, index * size, offset + head + index * size) for index in range(count))
        following = struct.unpack(dialect.offset_code, body[count * size :])[0]
        known = tuple(entry for entry in entries if entry.type in TYPE_SIZES)
        unknown = tuple(entry for entry in entries if entry.type not in TYPE_SIZES)
        return Directory(offset, head + len(body), known, following, () if nested else self._subs(known), unknown)

    def _entry(self, body: bytes, at: int, position: int) -> Entry:
        dialect = self._dialect
        tag, kind, count, field_bytes = struct.unpack_from(dialect.entry_code, body, at)
        inline = count * TYPE_SIZES.get(kind, 1) <= dialect.inline_bytes
        field_offset = position + struct.calcsize(dialect.entry_code) - dialect.inline_bytes
        offset = field_offset if inline else struct.unpack(dialect.offset_code, field_bytes)[0]
        return Entry(tag, kind, count, offset, inline, field_bytes)

    def _subs(self, entries: tuple[Entry, ...]) -> tuple[Directory, ...]:
        pointer = next((entry for entry in entries if entry.tag == SUB_DIRECTORIES and entry.type in INTEGER_CODES), None)
        if pointer is None:
            return ()
        if pointer.count > MAX_DIRECTORIES:
            raise Permanent("too-many-directories", f"more than {MAX_DIRECTORIES} sub-directories")
        offsets = Tiff(self._dialect, (), self._source).integers(pointer)
        return tuple(directory for offset in offsets for directory in self.chain(offset, nested=True))
