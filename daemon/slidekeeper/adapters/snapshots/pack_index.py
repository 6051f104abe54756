"""Finds a member of a pack without reading the pack: its central directory has records of one length, sorted by name.

A pack is an ordinary ZIP file, and any ZIP tool reads it. What makes it searchable is that all its members are stored, have names of 64
digits and no extra fields, and that it has less than 65,536 of them in less than 4 GB. The ZIP format: APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import os
import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

NAME_BYTES = 64
LOCAL = struct.Struct("<4s5H3I2H")
"""Local file header, 4.3.7."""
CENTRAL = struct.Struct("<4s6H3I5H2I")
"""Central directory header, 4.3.12."""
END = struct.Struct("<4s4H2IH")
"""End of central directory record, 4.3.16."""
END_SIGNATURE = b"PK\x05\x06"
CENTRAL_SIGNATURE = b"PK\x01\x02"
SIZE_AND_NAME = struct.Struct("<24xI18x64s")
"""Of a central directory header, what tells how long a member is."""
RECORD_BYTES = CENTRAL.size + NAME_BYTES


@dataclass(frozen=True, slots=True)
class Member:
    """Where one member's content lies in its pack."""

    offset: int
    size: int


class PackIndex:
    """The central directory of one pack."""

    def __init__(self, records: bytes) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records) // RECORD_BYTES

    def find(self, name: str) -> Member | None:
        """The member called ``name``, or None."""
        wanted = name.encode()
        index = bisect_left(range(len(self)), wanted, key=self._name)
        return self._member(index) if index < len(self) and self._name(index) == wanted else None

    def sizes(self) -> dict[bytes, int]:
        """The size of every member by its name."""
        return {name: size for size, name in SIZE_AND_NAME.iter_unpack(self._records)}

    def names(self) -> Iterator[str]:
        """All names, sorted."""
        return (self._name(index).decode("ascii", "replace") for index in range(len(self)))

    def _name(self, index: int) -> bytes:
        start = index * RECORD_BYTES + CENTRAL.size
        return self._records[start : start + NAME_BYTES]

    def _member(self, index: int) -> Member:
        fields = CENTRAL.unpack_from(self._records, index * RECORD_BYTES)
        size, header = fields[9], fields[16]
        return Member(header + LOCAL.size + NAME_BYTES, size)


def read_index(descriptor: int) -> PackIndex:
    """Read a pack's central directory.

    Raises:
        ValueError: the file is no pack.
    """
    length = os.fstat(descriptor).st_size
    end = os.pread(descriptor, END.size, max(0, length - END.size))
    if len(end) < END.size or not end.startswith(END_SIGNATURE):
        raise ValueError("no pack: its end is missing")
    _, _, _, _, count, size, offset, _ = END.unpack(end)
    records = os.pread(descriptor, size, offset)
    if len(records) != count * RECORD_BYTES or (records and not records.startswith(CENTRAL_SIGNATURE)):
        raise ValueError("no pack: its directory is damaged")
    return PackIndex(records)
