"""The folder that a version is restored into. Every step goes through the descriptor of the folder above: no link is followed, no name
leads elsewhere, whoever else writes there meanwhile.

A folder's own mode and time are set when the last thing in it is done; until then its owner may write.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from threading import Lock

from slidekeeper.errors import LOST_MOUNTS, Permanent, Unavailable
from slidekeeper.model.tree import DirectoryEntry, SymlinkEntry
from slidekeeper.steps.restore.plan import Found, Kind, link_target, permissions

OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
OWNER = 0o700

PLACE = "target"
REASONS = LOST_MOUNTS | {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "quota-used-up",
    errno.EROFS: "read-only",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EMFILE: "too-deep",
}


@contextmanager
def target_errors() -> Iterator[None]:
    """Sort what the target's file system says.

    Raises:
        Unavailable: it is full, closed or gone.
        Permanent: ``restore-failed``: a name that it cannot hold, a link or a file where a folder has to be.
    """
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        if error.errno in REASONS:
            raise Unavailable(PLACE, REASONS[error.errno], name, "Make the target usable and repeat: what is verified stays") from None
        raise Permanent("restore-failed", f"the target's file system says {name}", "Choose another target") from None


class Folder:
    """One open folder of the target; closed, and given its mode and time, when all who hold it have let go."""

    def __init__(self, descriptor: int, parent: Folder | None = None, *, fresh: bool, facts: DirectoryEntry | None) -> None:
        """``fresh``: it was made just now, and is empty. ``facts``: what it is to look like in the end; None leaves it as it is."""
        self.descriptor = descriptor
        self._parent = parent
        self._fresh = fresh
        self._facts = facts
        self._holders = 1
        self._lock = Lock()

    def hold(self) -> None:
        """Keep it open until :meth:`release`."""
        with self._lock:
            self._holders += 1

    def release(self) -> None:
        """Let go; the last one closes it."""
        with self._lock:
            self._holders -= 1
            last = not self._holders
        if last:
            self._finish()

    def find(self, name: bytes) -> Found | None:
        """What lies under a name."""
        return None if self._fresh else find(self.descriptor, name)

    def enter(self, name: bytes, entry: DirectoryEntry, selected: bool) -> Folder:
        """Open a folder in this one; made where it is not there. One that is there keeps its looks, unless it is ``selected``."""
        with target_errors():
            fresh = self._make(name)
            descriptor = os.open(name, OPEN_FOLDER, dir_fd=self.descriptor)
            if not fresh:
                _open_to_owner(descriptor)
        self.hold()
        return Folder(descriptor, self, fresh=fresh, facts=entry if fresh or selected else None)

    def link(self, name: bytes, entry: SymlinkEntry) -> None:
        """Make a symbolic link, replacing what lies there."""
        aside = aside_name(name)
        with target_errors():
            self.remove(aside)
            os.symlink(link_target(entry), aside, dir_fd=self.descriptor)
            os.utime(aside, ns=(entry.mtime, entry.mtime), dir_fd=self.descriptor, follow_symlinks=False)
            os.rename(aside, name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def create(self, name: bytes) -> int:
        """A new file aside, for :meth:`publish` to give it its name; what a killed restore left there is replaced."""
        aside = aside_name(name)
        try:
            return os.open(aside, NEW_FILE, 0o600, dir_fd=self.descriptor)
        except FileExistsError:
            self.remove(aside)
            return os.open(aside, NEW_FILE, 0o600, dir_fd=self.descriptor)

    def publish(self, name: bytes) -> None:
        """Give a file that is whole its name."""
        os.rename(aside_name(name), name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def discard(self, name: bytes) -> None:
        """Remove what :meth:`create` made."""
        self.remove(aside_name(name))

    def remove(self, name: bytes) -> None:
        """Remove a file or link, if there is one."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def _make(self, name: bytes) -> bool:
        try:
            os.mkdir(name, OWNER, dir_fd=self.descriptor)
        except FileExistsError:
            return False
        return True

    def _finish(self) -> None:
        try:
            with target_errors():
                if self._facts is not None:
                    os.fchmod(self.descriptor, permissions(self._facts))
                    os.utime(self.descriptor, ns=(self._facts.mtime, self._facts.mtime))
        finally:
            os.close(self.descriptor)
            if self._parent is not None:
                self._parent.release()


def aside_name(name: bytes) -> bytes:
    """Where a file is written before it has its name: the same again after a kill, so that nothing is left behind."""
    return b".restoring-" + sha256(name).hexdigest()[:16].encode()


def find(folder: int, name: bytes) -> Found | None:
    """What lies under a name in an open folder."""
    with target_errors():
        try:
            facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        kind = _kind(facts.st_mode)
        target = os.readlink(name, dir_fd=folder) if kind == "symlink" else b""
    return Found(kind, facts.st_size, facts.st_mtime_ns, target)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "directory"
    return "symlink" if stat.S_ISLNK(mode) else "other"


def _open_to_owner(descriptor: int) -> None:
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & OWNER != OWNER:
        os.fchmod(descriptor, mode | OWNER)
