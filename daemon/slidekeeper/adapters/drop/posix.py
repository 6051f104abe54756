"""One drop folder: who is who, opened without following any symlink, and whether the folder is there at all."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from slidekeeper.adapters.drop.lease import has_writer
from slidekeeper.errors import LOST_MOUNTS, Permanent, SlidekeeperError, SourceChanged, SourceUnreadable, Temporary, Unavailable
from slidekeeper.model.phi import FileIdentity, Member, RelativePath
from slidekeeper.ports.drop import Sighting

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NOTHING = r"(?!)"
"""An expression that matches no name."""
REACH = "Mount the drop folder, and give the service read access to it"
GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})


def special_kind(mode: int) -> str:
    """What a file is if it is not a regular one; empty for a regular file."""
    kinds = {stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket", stat.S_IFREG: ""}
    return kinds.get(stat.S_IFMT(mode), "device")


def sighting_of(path: bytes, status: os.stat_result) -> Sighting:
    """A sighting made of what lstat(2) says."""
    identity = FileIdentity(status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return Sighting(RelativePath(path), identity, special_kind(status.st_mode), status.st_nlink)


def is_ignored(name: bytes, patterns: Sequence[str]) -> bool:
    """Whether a file or folder of this name is still being transferred, or was never meant for us."""
    return ignoring(tuple(patterns)).match(os.fsdecode(name)) is not None


@lru_cache(maxsize=32)
def ignoring(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """All shell patterns as one expression that matches whole names: a scan asks about a million."""
    return re.compile("|".join(map(translate, patterns)) or NOTHING)


@dataclass(frozen=True, slots=True)
class PosixDrop:
    """Implements :class:`slidekeeper.ports.drop.Drop`."""

    name: str
    root: Path
    mount: bool = False
    sentinel: str = ""

    def check_available(self) -> None:
        """Refuse a root that is missing or cannot be listed, an empty mount point, and a root without its sentinel."""
        place = f"drop:{self.name}"
        try:
            there = stat.S_ISDIR(self.root.stat().st_mode) and _is_listable(self.root)
            mounted = not self.mount or self.root.is_mount()
            guarded = not self.sentinel or _exists(self.root / self.sentinel)
        except OSError as error:
            raise Unavailable(place, "unreachable", errno.errorcode.get(error.errno or 0, "OSError"), REACH) from None
        if not there:
            raise Unavailable(place, "no-folder", "the drop folder is no folder", "Check [drop] path")
        if not mounted:
            raise Unavailable(place, "not-mounted", "nothing is mounted on the drop folder", "Mount it")
        if not guarded:
            raise Unavailable(place, "no-sentinel", "the drop folder lacks its sentinel file", "Mount the right share, or restore the file")

    @contextmanager
    def open(self, member: Member) -> Iterator[BinaryIO]:
        """Open the member that settled; what fails in reading it is the drop folder's trouble."""
        with self._errors(), self._opened(member) as stream:
            yield stream

    def _opened(self, member: Member) -> BinaryIO:
        with self._folder_of(member.path) as (folder, name):
            descriptor = os.open(name, FILE_FLAGS, dir_fd=folder)
        status = os.fstat(descriptor)
        if special_kind(status.st_mode) or sighting_of(b"", status).identity != member.identity:
            os.close(descriptor)
            raise SourceChanged("source-changed", "the file is not the one that settled")
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return os.fdopen(descriptor, "rb", buffering=0)

    def see(self, path: RelativePath) -> Sighting | None:
        """The file as it is now."""
        try:
            with self._folder_of(path) as (folder, name):
                return sighting_of(path.reveal(), os.stat(name, dir_fd=folder, follow_symlinks=False))
        except OSError as error:
            if error.errno in GONE:
                return None
            raise self._told(error.errno) from None

    def named(self, name: str) -> list[Sighting]:
        """The file of this name in the root, if there is one."""
        seen = self.see(RelativePath(os.fsencode(name)))
        return [seen] if seen else []

    def walk(self, ignore: Sequence[str]) -> Iterator[Sighting]:
        """Every file below the root, in the order of names; symlinks are seen, never followed."""
        root = os.fsencode(self.root)
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(name for name in names if not is_ignored(name, ignore)):
                path = os.path.relpath(os.path.join(folder, name), root)
                if (seen := self.see(RelativePath(path))) is not None:
                    yield seen

    def identify(self, path: RelativePath) -> FileIdentity | None:
        """The file's identity now."""
        seen = self.see(path)
        return seen.identity if seen else None

    def is_being_written(self, path: RelativePath) -> bool:
        """Whether a local writer certainly has the file open."""
        try:
            with self._folder_of(path) as (folder, name):
                descriptor = os.open(name, FILE_FLAGS, dir_fd=folder)
        except OSError:
            return False
        try:
            return has_writer(descriptor)
        finally:
            os.close(descriptor)

    def delete(self, member: Member) -> None:
        """Remove a member that is still the file that settled."""
        try:
            if self.identify(member.path) != member.identity:
                return
            with self._folder_of(member.path) as (folder, name):
                os.unlink(name, dir_fd=folder)
        except OSError as error:
            if error.errno in LOST_MOUNTS:
                raise self._told(error.errno) from None
            raise _undeletable(errno.errorcode.get(error.errno or 0, "OSError")) from None
        except Permanent as unreadable:
            raise _undeletable(unreadable.detail) from None

    def is_folder(self, path: RelativePath) -> bool:
        """Whether a folder is there, reached without following symlinks."""
        try:
            with self._folder_of(path) as (folder, name):
                return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except OSError:
            return False

    @contextmanager
    def folder(self, directory: bytes) -> Iterator[int]:
        """A descriptor of a folder below the root, reached step by step without following symlinks; the root's name is empty."""
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in directory.split(b"/") if directory else ():
                below = os.open(name, FOLDER_FLAGS, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _folder_of(self, path: RelativePath) -> Iterator[tuple[int, bytes]]:
        """A descriptor of the folder that holds ``path``, and the last name."""
        directory, _, name = path.reveal().rpartition(b"/")
        with self.folder(directory) as descriptor:
            yield descriptor, name

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Sort errors of opening and reading; their texts name files and stay here."""
        try:
            yield
        except SourceUnreadable as error:
            raise self._told(error.number) from None
        except OSError as error:
            if error.errno in GONE or error.errno == errno.ENXIO:
                raise SourceChanged("source-changed", "the file is gone") from None
            raise self._told(error.errno) from None

    def _told(self, number: int | None) -> SlidekeeperError:
        """What the file system says of a file that is there, without its text, which names the file."""
        name = errno.errorcode.get(number or 0, "OSError")
        if number in LOST_MOUNTS:
            return Unavailable(f"drop:{self.name}", LOST_MOUNTS[number], name, "Mend the drop folder's mount; work goes on by itself")
        if number in (errno.EACCES, errno.EPERM):
            return Permanent("unreadable", name, "Give the service read access to the file")
        return Temporary("drop-error", name)


def _is_listable(folder: Path) -> bool:
    """Ask for the first entry; what hinders the answer is raised."""
    with os.scandir(folder) as entries:
        next(entries, None)
    return True


def _exists(path: Path) -> bool:
    """Whether a file is there; what hinders the answer is raised, whatever version of Python asks."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _undeletable(name: str) -> Permanent:
    return Permanent("permission", name, "Give the service write access to the folder")
