"""The bucket in a folder. What is written aside lies in ``.aside/``; one rename of a whole folder makes a revision visible."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from blake3 import blake3

from slidekeeper.adapters.bucket.splicing import execute
from slidekeeper.errors import LOST_MOUNTS, Permanent, Temporary, Unavailable
from slidekeeper.model.splice import SplicePlan
from slidekeeper.ports.bucket import Inspect, Written

ASIDE = ".aside"
FILE_MODE = 0o640
FOLDER_MODE = 0o750
DIGEST_BUFFER_BYTES = 1 << 20

REASONS = LOST_MOUNTS | {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "quota-used-up",
    errno.EROFS: "read-only",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
}
"""Errors that say that the bucket, not the slide, has a problem."""


@contextmanager
def _bucket_errors(absence_is_an_answer: bool = False) -> Iterator[None]:
    """Sort the operating system's errors; their texts name paths and stay here."""
    try:
        yield
    except OSError as error:
        if absence_is_an_answer and isinstance(error, FileNotFoundError):
            raise FileNotFoundError from None
        name = errno.errorcode.get(error.errno or 0, "OSError")
        if error.errno in REASONS:
            raise Unavailable("bucket", REASONS[error.errno], name, "Make the bucket writable; work goes on by itself") from None
        raise Temporary("bucket-error", name) from None


@dataclass(frozen=True, slots=True)
class PosixBucket:
    """Implements :class:`slidekeeper.ports.bucket.Bucket` below ``root``."""

    root: Path
    mount: bool = False
    reserve_bytes: int = 0

    def splice(self, aside: str, name: str, source: BinaryIO, plan: SplicePlan, inspect: Inspect) -> Written:
        """Execute ``plan`` into ``aside/name``; its name there is durable with the next :meth:`put`."""
        self._check_usable()
        with _bucket_errors():
            folder = self._make_aside(aside)
            target = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
            try:
                written = execute(plan, source, target, inspect)
                os.fsync(target)
            finally:
                os.close(target)
        return written

    def put(self, aside: str, name: str, data: bytes) -> None:
        """Write a small object aside, durably; into the reserve too, for it belongs to a slide that is already written."""
        self._check_there()
        with _bucket_errors():
            folder = self._make_aside(aside)
            target = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
            with os.fdopen(target, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            _sync_folder(folder)

    def aside_path(self, aside: str, name: str) -> Path:
        """The path of what lies aside."""
        return self.root / ASIDE / aside / name

    def digest_aside(self, aside: str, name: str) -> str:
        """The digest of what lies aside, as it can be read now."""
        self._check_there()
        with _bucket_errors():
            return _digest(self.aside_path(aside, name))

    def has_aside(self, aside: str) -> bool:
        """Whether something lies aside under this name."""
        self._check_there()
        with _bucket_errors():
            return _is_folder(self.root / ASIDE / aside)

    def publish(self, aside: str, key: str) -> None:
        """Make all that lies aside visible as the folder ``key``; a no-op where that was done before."""
        self._check_usable()
        origin, target = self.root / ASIDE / aside, self.root / key
        with _bucket_errors():
            if not _is_folder(origin) and _is_folder(target):
                _sync_folder(target.parent)
                return
            if _exists(target):
                raise Permanent(
                    "key-taken",
                    "the bucket holds another object under this slide's key",
                    "Compare journal and bucket: `slidekeeper verify`",
                )
            self._make_folder(target.parent)
            origin.rename(target)
            _sync_folder(target.parent)

    def discard(self, aside: str) -> None:
        """Remove what lies aside, if anything."""
        self._check_there()
        with _bucket_errors():
            folder = self.root / ASIDE / aside
            if _is_folder(folder):
                shutil.rmtree(folder)

    def asides(self) -> Set[str]:
        """Names of everything that lies aside."""
        self._check_there()
        with _bucket_errors():
            folder = self.root / ASIDE
            return {entry.name for entry in os.scandir(folder)} if _is_folder(folder) else set()

    def read(self, key: str) -> bytes:
        """The bytes of a small published object."""
        self._check_there()
        with _bucket_errors(absence_is_an_answer=True):
            return (self.root / key).read_bytes()

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """A published object, to be read."""
        self._check_there()
        with _bucket_errors(absence_is_an_answer=True), (self.root / key).open("rb") as stream:
            yield stream

    def digest(self, key: str) -> str:
        """The digest of a published object's bytes as they are now."""
        self._check_there()
        with _bucket_errors(absence_is_an_answer=True):
            return _digest(self.root / key)

    def has(self, key: str) -> bool:
        """Whether a published object or folder exists."""
        self._check_there()
        with _bucket_errors():
            return _exists(self.root / key)

    def names(self, key: str) -> Sequence[str]:
        """Names of all that lies below a published folder."""
        self._check_there()
        with _bucket_errors():
            return sorted(entry.name for entry in os.scandir(self.root / key)) if _is_folder(self.root / key) else []

    def rewrite(self, key: str, data: bytes) -> None:
        """Replace a small published object."""
        self._check_there()
        target = self.root / key
        with _bucket_errors(absence_is_an_answer=True):
            target.stat()
            aside = target.with_name(f".{target.name}.part")
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(target)
            _sync_folder(target.parent)

    def remove(self, key: str) -> bool:
        """Remove a published object or folder."""
        self._check_there()
        target = self.root / key
        with _bucket_errors():
            if not _exists(target):
                return False
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink()
            _sync_folder(target.parent)
            return True

    def probe(self) -> None:
        """Prove that the bucket can be written."""
        self._check_usable()
        with _bucket_errors():
            self._make_folder(self.root / ASIDE)
            probe = self.root / f".probe-{os.getpid()}"
            try:
                with probe.open("wb") as stream:
                    stream.write(bytes(4096))
                    stream.flush()
                    os.fsync(stream.fileno())
            finally:
                probe.unlink(missing_ok=True)

    def _check_usable(self) -> None:
        """Refuse an empty mount point and a disk that is nearly full."""
        self._check_there()
        with _bucket_errors():
            free = shutil.disk_usage(self.root).free
        if free < self.reserve_bytes:
            raise Unavailable(
                "bucket", "disk-full", f"{free} bytes are free, {self.reserve_bytes} are reserved", "Free space; work goes on by itself"
            )

    def _check_there(self) -> None:
        """Refuse a missing folder and an empty mount point: what is not mounted must not be written, nor say that it holds nothing."""
        with _bucket_errors():
            there = _is_folder(self.root)
            mounted = not self.mount or self.root.is_mount()
        if not there:
            raise Unavailable("bucket", "missing", "the bucket's folder is not there", "Mount or create it; work goes on by itself")
        if not mounted:
            raise Unavailable("bucket", "not-mounted", "nothing is mounted on the bucket's folder", "Mount it; work goes on by itself")

    def _make_aside(self, aside: str) -> Path:
        folder = self.root / ASIDE / aside
        self._make_folder(folder)
        return folder

    def _make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, each durably entered into its parent."""
        if _is_folder(folder):
            return
        self._make_folder(folder.parent)
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            return
        _sync_folder(folder.parent)


def _digest(path: Path) -> str:
    digest = blake3()
    buffer = memoryview(bytearray(DIGEST_BUFFER_BYTES))
    with path.open("rb") as stream:
        while got := stream.readinto(buffer):
            digest.update(buffer[:got])
    return f"blake3:{digest.hexdigest()}"


def _exists(path: Path) -> bool:
    """Whether something is there; what hinders the answer is raised: newer versions of Python take any error for a no."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_folder(path: Path) -> bool:
    return _exists(path) and path.is_dir()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
