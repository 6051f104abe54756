"""System calls that Python does not offer: one sync for a whole file system, a rename that replaces nothing, clones, file attributes."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from contextlib import suppress
from functools import cache

AT_FDCWD = -100
RENAME_NOREPLACE = 1
"""renameat2(2)."""
FICLONE = 0x40049409
FS_IOC_GETFLAGS = 0x80086601
FS_IOC_SETFLAGS = 0x40086602
"""ioctl_ficlone(2) and ioctl_iflags(2) on 64-bit Linux."""
IMMUTABLE = 0x10
APPEND_ONLY = 0x20

PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER = 47, 3
"""prctl(2)."""
CAP_LINUX_IMMUTABLE = 9

NO_RENAME = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""Errors by which a file system says that it cannot rename without replacing."""
NO_CLONE = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY, errno.EPERM, errno.ETXTBSY})


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def sync_file_system(descriptor: int) -> None:
    """Everything written to the file system that holds ``descriptor``, data and names, is durable when this returns."""
    if _libc().syncfs(descriptor) != 0:
        _fail()


def rename_new(source: str | bytes, target: str | bytes) -> None:
    """Move a file to a name that must be free.

    Raises:
        FileExistsError: it is taken.
    """
    if _libc().renameat2(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), RENAME_NOREPLACE) == 0:
        return
    if ctypes.get_errno() not in NO_RENAME:
        _fail()
    os.link(source, target, follow_symlinks=False)
    os.unlink(source)


def clone(source: int, target: int) -> bool:
    """Let ``target`` share all of the source's extents; False where the file system cannot."""
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError as refused:
        if refused.errno in NO_CLONE:
            return False
        raise
    return True


def flags_of(descriptor: int) -> int | None:
    """The attributes that ``lsattr`` shows, or None where the file system has none."""
    with suppress(OSError):
        answer: bytes = fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, bytes(8))
        return int(struct.unpack("=q", answer)[0])
    return None


def set_flags(descriptor: int, flags: int) -> bool:
    """Set the attributes; False where file system or capabilities do not allow it."""
    try:
        fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, struct.pack("=q", flags))
    except OSError:
        return False
    return True


def keep_to_this_process() -> None:
    """Programs that are started from now on do not inherit the right to unseal; called before there are other threads.

    A service without root's id has its capabilities as ambient ones; those alone outlive an exec, and with NoNewPrivileges nothing
    that such a program does brings them back.
    """
    _libc().prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_LINUX_IMMUTABLE, 0, 0)


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
