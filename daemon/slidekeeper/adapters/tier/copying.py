"""Copies and digests one file in one pass.

Small files go through a buffer in three calls. Large ones are written past the page cache, and read past it where it does not hold them:
that costs half the processor time of a buffered copy, leaves nothing to be written back, and drives nothing of others out of memory.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from blake3 import blake3

from slidekeeper.adapters.tier.handles import FILE_MODE, NEW_FILE, place_errors
from slidekeeper.ports.tier import Tell

WINDOW = 4 << 20
BLOCK = 4096
"""Direct writes come in whole blocks; the last is cut to the file's size afterwards."""

NO_DIRECT = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP})
"""How file systems say that they cannot be read or written past the page cache, or not without waiting."""


class Buffers:
    """Aligned buffers of one window; as many as were ever in use at once."""

    def __init__(self) -> None:
        self._free: SimpleQueue[mmap.mmap] = SimpleQueue()

    @contextmanager
    def one(self) -> Iterator[memoryview]:
        """A buffer for the time of one file."""
        try:
            buffer = self._free.get_nowait()
        except Empty:
            buffer = mmap.mmap(-1, WINDOW)
        try:
            with memoryview(buffer) as view:
                yield view
        finally:
            self._free.put(buffer)


class Reader:
    """Reads windows: from the page cache what it holds, all else past it."""

    def __init__(self, path: str, above: int | None = None) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        self._cached = os.open(path, flags, dir_fd=above)
        self.size = os.fstat(self._cached).st_size
        self._direct = _open_direct(path, flags, above) if self.size > WINDOW else None

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._cached)
        if self._direct is not None:
            os.close(self._direct)

    def window(self, buffer: memoryview, offset: int) -> int:
        """Fill the buffer from ``offset`` as far as the file reaches; returns how many bytes that are."""
        wanted = min(WINDOW, self.size - offset)
        direct = self._direct
        if direct is None:
            return self._buffered(buffer[:wanted], offset)
        if self._in_memory(buffer[:wanted], offset) or self._past_the_cache(direct, buffer, offset) == wanted:
            return wanted
        return self._buffered(buffer[:wanted], offset)

    def _in_memory(self, buffer: memoryview, offset: int) -> bool:
        try:
            return os.preadv(self._cached, [buffer], offset, os.RWF_NOWAIT) == len(buffer)
        except OSError as error:
            if error.errno in NO_DIRECT or error.errno == errno.EAGAIN:
                return False
            raise

    def _past_the_cache(self, direct: int, buffer: memoryview, offset: int) -> int:
        try:
            return os.preadv(direct, [buffer], offset)
        except OSError as error:
            if error.errno not in NO_DIRECT:
                raise
            os.close(direct)
            self._direct = None
            return 0

    def _buffered(self, buffer: memoryview, offset: int) -> int:
        done = 0
        while done < len(buffer):
            got = os.preadv(self._cached, [buffer[done:]], offset + done)
            if got == 0:
                break
            done += got
        return done


def _open_direct(path: str, flags: int, above: int | None) -> int | None:
    try:
        return os.open(path, flags | os.O_DIRECT, dir_fd=above)
    except OSError as error:
        if error.errno in NO_DIRECT:
            return None
        raise


class Writer:
    """Writes windows one after the other; large files past the page cache where the file system lets it."""

    def __init__(self, name: str, above: int, size: int) -> None:
        self._file = os.open(name, NEW_FILE, FILE_MODE, dir_fd=above)
        self._size = size
        self._direct = False
        if size > WINDOW:
            self._set_direct(os.O_DIRECT)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def window(self, buffer: memoryview, length: int, offset: int) -> None:
        """Write the first ``length`` bytes of the buffer at ``offset``."""
        if self._direct and length % BLOCK:
            self._write(buffer[: length + -length % BLOCK], offset)
            os.ftruncate(self._file, self._size)
        else:
            self._write(buffer[:length], offset)

    def _write(self, data: memoryview, offset: int) -> None:
        done = 0
        while done < len(data):
            try:
                done += os.pwrite(self._file, data[done:], offset + done)
            except OSError as error:
                if not self._direct or error.errno not in NO_DIRECT:
                    raise
                self._set_direct(0)

    def _set_direct(self, flag: int) -> None:
        self._direct = bool(flag)
        try:
            fcntl.fcntl(self._file, fcntl.F_SETFL, flag)
        except OSError as error:
            if error.errno not in NO_DIRECT:
                raise
            self._direct = False


def copy_file(source: str, name: str, above: int, size: int, buffers: Buffers, tell: Tell, places: tuple[str, str]) -> str:
    """Copy a file of ``size`` bytes; returns the digest of what was read, or its size where that is another.

    Args:
        source: path of the source.
        name: of the target, in the folder ``above``.
        size: expected bytes.
        buffers: where the window comes from.
        tell: is told of each window before it is written.
        places: names of source's and target's places, for errors.

    Raises:
        FileNotFoundError: there is no source.
        Unavailable: a place cannot be used.
    """
    with place_errors(places[0]):
        reader = _opened(source)
    try:
        if reader.size != size:
            return f"size:{reader.size}"
        with place_errors(places[1]):
            writer = Writer(name, above, size)
        try:
            return _copy(reader, writer, size, buffers, tell, places)
        finally:
            writer.close()
    finally:
        reader.close()


def _opened(source: str) -> Reader:
    """A reader; an object that may not be read is none: that is no trouble of the whole bucket."""
    try:
        return Reader(source)
    except PermissionError:
        raise FileNotFoundError(errno.ENOENT, "may not be read") from None


def _copy(reader: Reader, writer: Writer, size: int, buffers: Buffers, tell: Tell, places: tuple[str, str]) -> str:
    digest = blake3()
    offset = 0
    with buffers.one() as buffer:
        while offset < size:
            with place_errors(places[0]):
                got = reader.window(buffer, offset)
            if got == 0:
                return f"size:{offset}"
            tell(got)
            digest.update(buffer[:got])
            with place_errors(places[1]):
                writer.window(buffer, got, offset)
            offset += got
    return f"blake3:{digest.hexdigest()}"


def digest_file(name: str, above: int, buffers: Buffers) -> str:
    """The digest of a file's bytes as they are now."""
    reader = Reader(name, above)
    digest = blake3()
    offset = 0
    try:
        with buffers.one() as buffer:
            while (got := reader.window(buffer, offset)) > 0:
                digest.update(buffer[:got])
                offset += got
    finally:
        reader.close()
    return f"blake3:{digest.hexdigest()}"
