"""Takes the bytes of one large file into the store: cloned where the file system can, else read, digested and written in one pass.

Reading goes through the page cache, where what a run has just written still lies. Writing goes past it (O_DIRECT): that costs a tenth
of the processor's time and leaves the cache to those who train. While a portion is written, another thread digests it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from slidekeeper.adapters.snapshots.troubles import run_changed, run_errors, store_errors

BUFFER_BYTES = 8 * 1024 * 1024
BLOCK_BYTES = 4096
"""Direct writes begin and end at multiples of this."""
ZEROS = bytes(1024 * 1024)
UNIT_OF_BLOCKS = 512
"""stat(2) counts a file's blocks in these."""

Write: TypeAlias = Callable[[memoryview, int], None]


class Copier:
    """Copies and digests large files; each thread needs its own, for it has one buffer."""

    def __init__(self, digesting: ThreadPoolExecutor) -> None:
        self._digesting = digesting
        self._buffer = memoryview(mmap.mmap(-1, BUFFER_BYTES))

    def copy(self, source: int, target: int, status: os.stat_result) -> bytes:
        """Write ``source`` to ``target``, holes as holes, and return its SHA-256.

        Raises:
            Temporary: ``run-changed``, it is shorter than ``status`` says; ``run-unreadable``.
            Unavailable: the bucket cannot be written.
        """
        with store_errors():
            os.ftruncate(target, status.st_size)
            return self._pass_over(source, status, DirectWriter(target).write)

    def digest(self, source: int, status: os.stat_result) -> bytes:
        """The SHA-256 of a file."""
        return self._pass_over(source, status, None)

    def _pass_over(self, source: int, status: os.stat_result, write: Write | None) -> bytes:
        digest = hashlib.sha256()
        for start, end, is_data in stretches(source, status):
            if not is_data:
                _digest_zeros(digest, end - start)
                continue
            for offset in range(start, end, BUFFER_BYTES):
                portion = self._buffer[: min(BUFFER_BYTES, end - offset)]
                _read_fully(source, portion, offset)
                digested = self._digesting.submit(digest.update, portion)
                try:
                    if write is not None:
                        write(portion, offset)
                finally:
                    digested.result()
        return digest.digest()


class DirectWriter:
    """Writes past the page cache while offsets and lengths allow it and the file system does."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._is_direct = False
        self._may_be_direct = True

    def write(self, portion: memoryview, offset: int) -> None:
        """Write all of ``portion`` at ``offset``."""
        whole = len(portion) // BLOCK_BYTES * BLOCK_BYTES if offset % BLOCK_BYTES == 0 else 0
        for part, at in ((portion[:whole], offset), (portion[whole:], offset + whole)):
            if part:
                self._set(len(part) % BLOCK_BYTES == 0 and at % BLOCK_BYTES == 0)
                self._write_fully(part, at)

    def _write_fully(self, part: memoryview, offset: int) -> None:
        done = 0
        while done < len(part):
            try:
                done += os.pwrite(self._target, part[done:], offset + done)
            except OSError as refused:
                if refused.errno != errno.EINVAL or not self._is_direct:
                    raise
                self._set(False)
                self._may_be_direct = False

    def _set(self, direct: bool) -> None:
        if direct == self._is_direct or (direct and not self._may_be_direct):
            return
        flags = fcntl.fcntl(self._target, fcntl.F_GETFL)
        try:
            fcntl.fcntl(self._target, fcntl.F_SETFL, flags | os.O_DIRECT if direct else flags & ~os.O_DIRECT)
        except OSError as refused:
            if refused.errno != errno.EINVAL:
                raise
            self._may_be_direct = False
            return
        self._is_direct = direct


def stretches(descriptor: int, status: os.stat_result) -> Iterator[tuple[int, int, bool]]:
    """Start, end, and whether it is data (else a hole) of every stretch of a file.

    Raises:
        Temporary: the file's system fails.
    """
    at, size = 0, status.st_size
    if status.st_blocks * UNIT_OF_BLOCKS >= size:
        yield 0, size, True
        return
    while at < size:
        data = _seek(descriptor, at, os.SEEK_DATA, size)
        if data > at:
            yield at, data, False
        at = _seek(descriptor, data, os.SEEK_HOLE, size) if data < size else size
        if at > data:
            yield data, at, True


def _seek(descriptor: int, offset: int, whence: int, size: int) -> int:
    try:
        return min(size, os.lseek(descriptor, offset, whence))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        with run_errors():
            raise


def _read_fully(source: int, portion: memoryview, offset: int) -> None:
    done = 0
    with run_errors():
        while done < len(portion):
            got = os.preadv(source, [portion[done:]], offset + done)
            if got == 0:
                raise run_changed()
            done += got


def _digest_zeros(digest: hashlib._Hash, length: int) -> None:
    for done in range(0, length, len(ZEROS)):
        digest.update(ZEROS[: min(len(ZEROS), length - done)])
