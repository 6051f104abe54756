"""Copies stored bytes into a file and digests them in the same pass.

Large files are copied by the kernel, window by window (and shared with the store, where the file system can), and what was written is read
back for the digest. Holes stay holes: neither copied nor read, but digested.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from typing import Final

from slidekeeper.errors import Permanent
from slidekeeper.ports.snapshots import Content
from slidekeeper.steps.restore.target import target_errors

WINDOW_BYTES: Final = 4 * 1024 * 1024
SMALL_BYTES: Final = 256 * 1024
"""Up to this size one read and one write do."""
BLOCK_BYTES: Final = 512
"""Unit of ``st_blocks``."""
NO_KERNEL_COPY: Final = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ETXTBSY})
"""Errors by which copy_file_range(2) says that these two files cannot be copied that way."""

Advance = Callable[[int], None]


def copy_content(content: Content, target: int, advance: Advance) -> str:
    """Copy a file's bytes into an empty one; returns their SHA-256.

    Raises:
        Permanent: ``version-damaged``: the stored file ended too soon, or cannot be read.
        Unavailable: the target is full or gone.
    """
    if content.size <= SMALL_BYTES:
        data = read_stored(content, content.size, 0)
        with target_errors():
            write_fully(target, data, 0)
        advance(len(data))
        return hashlib.sha256(data).hexdigest()
    return _Copy(content, target, advance).run()


def digest_file(descriptor: int, size: int, advance: Advance) -> str:
    """SHA-256 of an open file's first ``size`` bytes; that of less where it is shorter."""
    digest, buffer, at = hashlib.sha256(), memoryview(bytearray(min(WINDOW_BYTES, max(1, size)))), 0
    while at < size and (count := os.preadv(descriptor, [buffer[: size - at]], at)):
        digest.update(buffer[:count])
        advance(count)
        at += count
    return digest.hexdigest()


class _Copy:
    """One large file on its way."""

    def __init__(self, content: Content, target: int, advance: Advance) -> None:
        self._content = content
        self._target = target
        self._advance = advance
        self._digest = hashlib.sha256()
        self._buffer = memoryview(bytearray(min(WINDOW_BYTES, content.size)))
        self._by_kernel = True

    def run(self) -> str:
        """Copy it; returns the SHA-256 of what was written."""
        with target_errors():
            os.ftruncate(self._target, self._content.size)
        at = 0
        for start, end in stretches(self._content):
            self._skip(start - at)
            for offset in range(start, end, WINDOW_BYTES):
                self._copy(offset, min(WINDOW_BYTES, end - offset))
            at = end
        self._skip(self._content.size - at)
        return self._digest.hexdigest()

    def _skip(self, size: int) -> None:
        """Digest a hole."""
        zeros = bytes(min(size, WINDOW_BYTES))
        for offset in range(0, size, WINDOW_BYTES):
            part = min(WINDOW_BYTES, size - offset)
            self._digest.update(zeros[:part])
            self._advance(part)

    def _copy(self, offset: int, size: int) -> None:
        done = self._copy_by_kernel(offset, size) if self._by_kernel else 0
        if done < size:
            data = read_stored(self._content, size - done, offset + done)
            with target_errors():
                write_fully(self._target, data, offset + done)
        self._read_back(offset, size)
        self._advance(size)

    def _copy_by_kernel(self, offset: int, size: int) -> int:
        """How much of a window the kernel copied; the rest goes through memory."""
        done = 0
        source = self._content.offset + offset
        while done < size:
            try:
                count = os.copy_file_range(self._content.descriptor, self._target, size - done, source + done, offset + done)
            except OSError as error:
                if error.errno not in NO_KERNEL_COPY and error.errno != errno.EIO:
                    with target_errors():
                        raise
                self._by_kernel = False
                break
            if not count:
                break
            done += count
        return done

    def _read_back(self, offset: int, size: int) -> None:
        done = 0
        while done < size:
            with target_errors():
                count = os.preadv(self._target, [self._buffer[: size - done]], offset + done)
            if not count:
                raise too_short()
            self._digest.update(self._buffer[:count])
            done += count


def stretches(content: Content) -> Iterator[tuple[int, int]]:
    """Start and end of what is no hole, relative to the content."""
    facts = os.fstat(content.descriptor)
    if content.offset or facts.st_blocks * BLOCK_BYTES >= content.size:
        yield 0, content.size
        return
    at = 0
    while at < content.size:
        try:
            start = os.lseek(content.descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            yield at, content.size
            return
        at = min(os.lseek(content.descriptor, start, os.SEEK_HOLE), content.size)
        yield start, at


def read_stored(content: Content, size: int, offset: int) -> bytes:
    """Bytes of a stored file.

    Raises:
        Permanent: ``version-damaged``.
    """
    try:
        data = os.pread(content.descriptor, size, content.offset + offset)
        while 0 < len(data) < size and (more := os.pread(content.descriptor, size - len(data), content.offset + offset + len(data))):
            data += more
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        raise Permanent("version-damaged", f"a stored file cannot be read ({name})", "A replica, where there is one, heals it") from None
    if len(data) < size:
        raise too_short()
    return data


def too_short() -> Permanent:
    """A stored file that ended before its size."""
    return Permanent("version-damaged", "a stored file is too short", "A replica, where there is one, heals it")


def write_fully(target: int, data: bytes, offset: int) -> None:
    """Write all of ``data``."""
    rest = memoryview(data)
    while rest:
        count = os.pwrite(target, rest, offset)
        rest, offset = rest[count:], offset + count
