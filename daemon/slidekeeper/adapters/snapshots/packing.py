"""Writes packs: ZIP files of small files, stored as they are, the same bytes for the same files in the same order."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from slidekeeper.adapters.snapshots.layout import FILE_MODE
from slidekeeper.adapters.snapshots.pack_index import CENTRAL, CENTRAL_SIGNATURE, END, END_SIGNATURE, LOCAL

LOCAL_SIGNATURE = b"PK\x03\x04"
VERSION_NEEDED = 10
MADE_BY_UNIX = 3 << 8 | 20
NEW_YEAR_1980 = 0x21
"""The first day a ZIP file knows: packs tell no time, so that equal files make equal packs."""
ATTRIBUTES = (0o100000 | FILE_MODE) << 16
NAME_LENGTH = 64

MEMBERS = 65_000
PACK_BYTES = 64 * 1024 * 1024
"""A pack is closed at either: below all limits of a plain ZIP file."""
FLUSH_BYTES = 4 * 1024 * 1024


class Pack:
    """One pack that is being written; a thread of its own digests and writes what has gathered."""

    def __init__(self, path: Path, writing: ThreadPoolExecutor) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        self._writing = writing
        self._written: Future[None] | None = None
        self._digest = hashlib.sha256()
        self._gathered = bytearray()
        self._offset = 0
        self._records: list[tuple[bytes, int, int, int]] = []
        """Name, CRC-32, size and offset of each member."""

    @property
    def is_full(self) -> bool:
        """Whether it takes no more."""
        return len(self._records) >= MEMBERS or self._offset >= PACK_BYTES

    def add(self, digest: bytes, crc: int, data: bytes) -> None:
        """Append one small file."""
        name, size = digest.hex().encode(), len(data)
        self._records.append((name, crc, size, self._offset))
        header = LOCAL.pack(LOCAL_SIGNATURE, VERSION_NEEDED, 0, 0, 0, NEW_YEAR_1980, crc, size, size, NAME_LENGTH, 0)
        self._append(header, name, data)

    def finish(self) -> str:
        """Write the central directory; returns the pack's name, the SHA-256 of its bytes."""
        start = self._offset
        self._append(b"".join(map(_central, sorted(self._records))))
        count = len(self._records)
        self._append(END.pack(END_SIGNATURE, 0, 0, count, count, self._offset - start, start, 0))
        self._flush()
        self._wait()
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Write no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, *parts: bytes) -> None:
        for part in parts:
            self._gathered += part
            self._offset += len(part)
        if len(self._gathered) >= FLUSH_BYTES:
            self._flush()

    def _flush(self) -> None:
        data, self._gathered = self._gathered, bytearray()
        self._wait()
        self._written = self._writing.submit(self._write, data)

    def _wait(self) -> None:
        if self._written is not None:
            self._written.result()

    def _write(self, data: bytearray) -> None:
        self._digest.update(data)
        with memoryview(data) as rest:
            done = 0
            while done < len(rest):
                done += os.write(self._descriptor, rest[done:])


class Packs:
    """The packs of one capture, one after another; until they are finished they are known by their ordinals."""

    def __init__(self, new_path: Callable[[], Path], keep: Callable[[Path, str], None]) -> None:
        self._new_path = new_path
        self._keep = keep
        self._writing = ThreadPoolExecutor(1)
        self._path = Path()
        self._pack: Pack | None = None
        self._names: list[str] = []

    @property
    def names(self) -> Sequence[str]:
        """Names of the finished packs by ordinal."""
        return self._names

    def add(self, digest: bytes, crc: int, data: bytes) -> int:
        """Put one small file into a pack; returns the pack's ordinal."""
        if self._pack is None:
            self._path = self._new_path()
            self._pack = Pack(self._path, self._writing)
        self._pack.add(digest, crc, data)
        ordinal = len(self._names)
        if self._pack.is_full:
            self.finish()
        return ordinal

    def finish(self) -> None:
        """Finish the pack under way, if any."""
        if self._pack is not None:
            self._names.append(self._pack.finish())
            self._keep(self._path, self._names[-1])
            self._pack = None

    def close(self) -> None:
        """Give up what is not finished."""
        self._writing.shutdown()
        if self._pack is not None:
            self._pack.close()


def _central(record: tuple[bytes, int, int, int]) -> bytes:
    name, crc, size, offset = record
    head = CENTRAL.pack(
        CENTRAL_SIGNATURE,
        MADE_BY_UNIX,
        VERSION_NEEDED,
        0,
        0,
        0,
        NEW_YEAR_1980,
        crc,
        size,
        size,
        NAME_LENGTH,
        0,
        0,
        0,
        0,
        ATTRIBUTES,
        offset,
    )
    return head + name
