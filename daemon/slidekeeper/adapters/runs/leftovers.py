"""Where strangers of a cleaned run go, if the site wants them moved: ``<root>/.slidekeeper/leftovers/<run>/``, for the service's eyes only.

The root may belong to researchers: a folder of that name that is a symlink, or somebody else's, is refused, not used.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from slidekeeper.adapters.runs.opening import FOLDER_FLAGS, GONE
from slidekeeper.errors import Permanent
from slidekeeper.model.run import RunId

FOLDERS = (b".slidekeeper", b"leftovers")
MODE = 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Leftovers:
    """Takes in what belongs to neither run nor version, at the path it had."""

    def __init__(self, root: int, run: RunId) -> None:
        self._root = root
        self._run = run.encode()

    def take(self, folder: int, path: Sequence[bytes]) -> None:
        """Move ``folder/<last name of path>``; what lies on another file system stays where it is.

        Raises:
            Permanent: ``leftovers-unsafe``.
        """
        with self._folder((*FOLDERS, self._run, *path[:-1])) as target:
            try:
                os.rename(path[-1], _free_name(target, path[-1]), src_dir_fd=folder, dst_dir_fd=target)
            except OSError as error:
                if error.errno not in {errno.EXDEV, errno.EBUSY, errno.ENOENT}:
                    raise

    @contextmanager
    def _folder(self, names: Sequence[bytes]) -> Iterator[int]:
        descriptor = os.dup(self._root)
        try:
            for name in names:
                with suppress(FileExistsError):
                    os.mkdir(name, MODE, dir_fd=descriptor)
                below = _opened(name, descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _opened(name: bytes, parent: int) -> int:
    """A descriptor of a folder that is ours, and closed to all others."""
    try:
        descriptor = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except OSError as error:
        if error.errno in GONE:
            raise _unsafe() from None
        raise
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or status.st_mode & OTHERS:
        os.close(descriptor)
        raise _unsafe()
    return descriptor


def _free_name(folder: int, name: bytes) -> bytes:
    """A name that nothing has yet: an interrupted cleanup may have moved one of the same name before."""
    candidate, number = name, 1
    while _exists(folder, candidate):
        suffix = f"~{number}".encode()
        candidate, number = name[: 255 - len(suffix)] + suffix, number + 1
    return candidate


def _exists(folder: int, name: bytes) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _unsafe() -> Permanent:
    return Permanent(
        "leftovers-unsafe",
        "the folder for leftovers in the training root is not the service's alone",
        "Move `.slidekeeper` in the training root away, then retry the run",
    )
