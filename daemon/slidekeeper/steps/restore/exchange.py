"""Puts a restored folder in the place of an old one, which is kept until then: in one step where the file system can exchange two names."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path

from slidekeeper.steps.restore.target import target_errors

AT_FDCWD = -100
RENAME_EXCHANGE = 2
"""renameat2(2)."""
CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


def aside_of(place: Path) -> Path:
    """The folder that a replacement of ``place`` is made in; the same again after a kill."""
    return place.with_name(f".{place.name}.restoring")


def put_in_place(aside: Path, place: Path) -> None:
    """Make ``aside`` durable, give it the name ``place``, then remove what had it.

    A kill or a power cut leaves the old folder or the new one under the name; where names cannot be exchanged there is an instant between
    two renames in which the old one is called ``.<name>.replaced``.
    """
    replaced = place.with_name(f".{place.name}.replaced")
    with target_errors():
        _sync(aside)
        if not os.path.lexists(place):
            aside.rename(place)
        elif _exchange(aside, place):
            aside.rename(replaced)
        else:
            place.rename(replaced)
            aside.rename(place)
        _sync(place.parent)
        if os.path.lexists(replaced):
            _remove(replaced)


def _exchange(one: Path, other: Path) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in CANNOT:
        return False
    raise OSError(number, os.strerror(number))


def _sync(folder: Path) -> None:
    """Flush the file system that a folder is on."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(descriptor)


def _remove(folder: Path) -> None:
    """Remove a tree, also where its folders may not be written; never follows a link."""
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    for _, _, _, descriptor in os.fwalk(folder):
        os.fchmod(descriptor, 0o700)
    shutil.rmtree(folder)
