"""A run's folder as the file system shows it: opened level by level, so that no symbolic link leads anywhere else."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from slidekeeper.adapters.snapshots.troubles import run_changed, run_errors
from slidekeeper.errors import Permanent
from slidekeeper.ports.snapshots import Source

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
CLOSED = frozenset({errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True)
class Folder:
    """An open directory, and what it was when it was opened."""

    descriptor: int
    path: bytes
    """Relative to its source."""
    status: os.stat_result

    def names(self) -> list[bytes]:
        """What is in it, sorted."""
        with run_errors():
            return sorted(map(os.fsencode, os.listdir(self.descriptor)))

    def below(self, name: bytes) -> bytes:
        """The path of something in it, relative to the source."""
        return self.path + b"/" + name if self.path else name

    def close(self) -> None:
        """Let go of it.

        Raises:
            Temporary: ``run-changed``, something came or went meanwhile.
        """
        try:
            with run_errors():
                now = os.fstat(self.descriptor)
        finally:
            os.close(self.descriptor)
        if identity(now) != identity(self.status):
            raise run_changed()


def identity(status: os.stat_result) -> tuple[int, int, int, int]:
    """What changes when a file or directory does."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def open_source(source: Source) -> Folder:
    """Open a source's folder.

    Raises:
        Permanent: ``run-vanished``.
        Temporary: it cannot be opened now.
    """
    descriptor = -1
    try:
        descriptor = os.open(source.anchor, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for name in filter(None, source.below.split("/")):
            inner = os.open(name, OPEN_FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        return Folder(descriptor, b"", os.fstat(descriptor))
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
        if error.errno in NOT_THERE:
            raise Permanent("run-vanished", "a folder of the run is not there any more", "Protect it again when it is back") from None
        with run_errors():
            raise


def open_inner(above: Folder, name: bytes) -> Folder | None:
    """Open a directory in a directory; None where it may not be read."""
    descriptor = _open(above.descriptor, name, OPEN_FOLDER)
    return None if descriptor is None else Folder(descriptor, above.below(name), os.fstat(descriptor))


def open_file(folder: int, name: bytes, expected: os.stat_result) -> int | None:
    """Open a regular file; None where it may not be read.

    Raises:
        Temporary: ``run-changed``, it is no longer what it was.
    """
    descriptor = _open(folder, name, OPEN_FILE)
    if descriptor is not None and not is_still(descriptor, expected):
        os.close(descriptor)
        raise run_changed()
    return descriptor


def is_still(descriptor: int, expected: os.stat_result) -> bool:
    """Whether an open file is what it was."""
    with run_errors():
        return identity(os.fstat(descriptor)) == identity(expected)


def kind_of(status: os.stat_result) -> str:
    """``file``, ``directory``, ``symlink``, or why it can only be listed: ``fifo``, ``socket``, ``device``."""
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket"}
    return kinds.get(stat.S_IFMT(status.st_mode), "device")


def _open(folder: int, name: bytes, flags: int) -> int | None:
    try:
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in CLOSED:
            return None
        if error.errno in NOT_THERE or error.errno == errno.ENXIO:
            raise run_changed() from None
        with run_errors():
            raise


def each_status(folder: Folder, names: list[bytes]) -> Iterator[tuple[bytes, os.stat_result]]:
    """The names with what they are, links not followed.

    Raises:
        Temporary: ``run-changed``, one of them has vanished.
    """
    with run_errors():
        for name in names:
            yield name, os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)
