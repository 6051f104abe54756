"""What a capture has read, on its way to the trees: a tree names its packs first, and packs have names only when they are finished.

So everything is read before the first tree is written, and what was read lies here meanwhile, in the order of the tree, in a file: a run of
two million files must not live in memory.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import msgspec

MEMORY_BYTES = 16 * 1024 * 1024
AT_ONCE = 1000
LENGTH = struct.Struct("<I")


class Enter(msgspec.Struct, frozen=True, array_like=True, tag=0, gc=False):
    """A directory; what is in it follows, by name."""

    name: bytes
    mode: int
    mtime: int


class Leave(msgspec.Struct, frozen=True, array_like=True, tag=1, gc=False):
    """The end of the directory that was entered last."""


class Kept(msgspec.Struct, frozen=True, array_like=True, tag=2, gc=False):
    """A file whose content the store holds, or will."""

    name: bytes
    size: int
    digest: bytes
    mode: int
    mtime: int
    pack: bytes | None = None
    """Digest that names the pack of the store that holds it."""
    ordinal: int | None = None
    """Ordinal of the pack of this capture that holds it; a blob has neither."""


class Linked(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """A symbolic link."""

    name: bytes
    target: bytes
    mtime: int


class Missed(msgspec.Struct, frozen=True, array_like=True, tag=4, gc=False):
    """Something whose content is not kept."""

    name: bytes
    reason: str


Record: TypeAlias = Enter | Leave | Kept | Linked | Missed

_ENCODER = msgspec.msgpack.Encoder()
_DECODER: msgspec.msgpack.Decoder[list[Record]] = msgspec.msgpack.Decoder(list[Record])


class Spool:
    """Records in order: written once, then read once."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES, dir=str(folder))  # noqa: SIM115 - open until it is closed
        self._gathered: list[Record] = []

    def write(self, record: Record) -> None:
        """Append one record."""
        self._gathered.append(record)
        if len(self._gathered) >= AT_ONCE:
            self._flush()

    def read(self) -> Iterator[Record]:
        """All records, from the first."""
        self._flush()
        self._file.seek(0)
        while head := self._file.read(LENGTH.size):
            yield from _DECODER.decode(self._file.read(LENGTH.unpack(head)[0]))

    def close(self) -> None:
        """Forget them."""
        self._file.close()

    def _flush(self) -> None:
        data = _ENCODER.encode(self._gathered)
        self._file.write(LENGTH.pack(len(data)) + data)
        self._gathered.clear()
