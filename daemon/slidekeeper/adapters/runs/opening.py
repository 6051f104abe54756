"""Opens folders below a root step by step, follows no symlink on the way, and sorts what the operating system says.

The root itself may be reached through symlinks: the site has named it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from slidekeeper.errors import LOST_MOUNTS, Unavailable

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""The thing is not there any more, or another took its name."""
KEPT_BY_FILE_SYSTEM = frozenset({b"lost+found"})
"""What a file system puts into its own root."""


def place_of(root: Path) -> str:
    """The root's name among the places that work depends on."""
    return f"training:{root}"


def kind_of(mode: int) -> str:
    """What a file is if it is not a regular one; empty for a regular file."""
    kinds = {stat.S_IFLNK: "symlink", stat.S_IFDIR: "folder", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFREG: ""}
    return kinds.get(stat.S_IFMT(mode), "device")


@contextmanager
def opened_root(root: Path) -> Iterator[int]:
    """A descriptor of the root.

    Raises:
        Unavailable: it cannot be opened.
    """
    try:
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise away(root, error) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def opened_folder(parent: int, names: Sequence[bytes]) -> Iterator[int]:
    """A descriptor of a folder below ``parent``; an ``OSError`` of :data:`GONE` where something else has its name."""
    descriptor = os.dup(parent)
    try:
        for name in names:
            below = os.open(name, FOLDER_FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def check_root(root: Path, mount: bool) -> None:
    """Return if the root is there and is the file system it should be.

    Raises:
        Unavailable: it is not.
    """
    try:
        mounted = not mount or root.is_mount()
        with os.scandir(root) as entries:
            next(entries, None)
    except OSError as error:
        raise away(root, error) from None
    if not mounted:
        raise Unavailable(place_of(root), "not-mounted", "nothing is mounted on the training root", "Mount it; work goes on by itself")


def away(root: Path, error: OSError) -> Unavailable:
    """The root cannot be used; the error's own text names files and stays here."""
    reason = LOST_MOUNTS.get(error.errno or 0, "unreachable")
    name = errno.errorcode.get(error.errno or 0, "OSError")
    return Unavailable(place_of(root), reason, name, "Mount the training root, and give the service access to it")
