"""Folders of a tier by their descriptors: no name is followed through a symbolic link, so nobody leads a copy or a removal elsewhere."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath

from slidekeeper.errors import LOST_MOUNTS, Temporary, Unavailable

FOLDER_MODE = 0o755
FILE_MODE = 0o644
"""Training jobs are other users: a tier is read by all who may enter it."""

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC

FULL = {errno.ENOSPC: "disk-full", errno.EDQUOT: "quota-used-up"}
REFUSING = {errno.EROFS: "read-only", errno.EACCES: "permission", errno.EPERM: "permission"}


@contextmanager
def place_errors(place: str) -> Iterator[None]:
    """Sort the operating system's errors; that something is missing, or is a link, is an answer, and passes through."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        if error.errno == errno.ELOOP:
            raise NotADirectoryError(errno.ENOTDIR, name) from None
        reason = (LOST_MOUNTS | FULL | REFUSING).get(error.errno or 0)
        if reason:
            raise Unavailable(place, reason, name, "Mend it or free space; work goes on by itself") from None
        raise Temporary("tier-error" if place.startswith("tier:") else "bucket-error", name) from None


def parts_of(path: str) -> Sequence[str]:
    """The names in a relative path.

    Raises:
        NotADirectoryError: it would lead out of where it begins.
    """
    names = PurePosixPath(path).parts
    if not names or any(name in ("..", "/") or "\0" in name for name in names):
        raise NotADirectoryError(errno.ENOTDIR, "no path below a staging")
    return names


@contextmanager
def folder(path: str | Sequence[str], above: int | None = None) -> Iterator[int]:
    """A descriptor of a folder: the tier's root by its path, anything below by the names that lead to it."""
    root = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(path, root) if isinstance(path, str) else _descend(path, above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _descend(names: Sequence[str], above: int | None) -> int:
    descriptor = os.open(".", FOLDER, dir_fd=above)
    for name in names:
        try:
            below = os.open(name, FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def make_folder(name: str, above: int) -> int:
    """A descriptor of a folder that is made where it is missing."""
    with suppress(FileExistsError):
        os.mkdir(name, FOLDER_MODE, dir_fd=above)
    return os.open(name, FOLDER, dir_fd=above)


def read_file(name: str, above: int) -> bytes:
    """The bytes of a small regular file."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=above)
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read()


def write_file(name: str, data: bytes, above: int) -> None:
    """Write a small file aside, durably, and put it in place."""
    aside = f".{name}.part"
    with os.fdopen(os.open(aside, NEW_FILE, FILE_MODE, dir_fd=above), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(aside, name, src_dir_fd=above, dst_dir_fd=above)
    os.fsync(above)


def sync_file_system(descriptor: int) -> None:
    """Make everything on the file system of ``descriptor`` durable: syncfs(2), one call for many files."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
