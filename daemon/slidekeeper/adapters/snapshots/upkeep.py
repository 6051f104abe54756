"""Mends and shrinks the version store on a POSIX file system; the only code that replaces or removes anything in it."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from slidekeeper.adapters.snapshots.documents import decode_document
from slidekeeper.adapters.snapshots.layout import ASIDE, BLOBS, FILE_MODE, LOCK, OBJECT_KEY, PACKS, STORE, TREES, VERSION_KEY, VERSIONS
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.adapters.snapshots.sealing import Sealing, unseal
from slidekeeper.adapters.snapshots.troubles import store_errors
from slidekeeper.ports.snapshots import Damage
from slidekeeper.ports.upkeep import Pace, StoredObject

WINDOW_BYTES = 1 << 20
KINDS = (BLOBS, PACKS, TREES, VERSIONS)
"""In the order of keys."""


class PosixUpkeep:
    """Implements :class:`slidekeeper.ports.upkeep.Upkeep` below a bucket's folder; ``replicas`` are other buckets' folders."""

    def __init__(self, bucket: Path, replicas: Sequence[Path] = (), *, mount: bool = False, immutable: bool = True) -> None:
        self.root = bucket / STORE
        self._versions = PosixVersions(bucket, mount)
        self._replicas = [replica / STORE for replica in replicas]
        self._immutable = immutable

    def objects(self, after: str = "") -> Iterator[StoredObject]:
        """Stored objects behind ``after``, by key; one folder at a time is in memory."""
        self._versions.check_there()
        with store_errors():
            for kind in KINDS:
                for folder in self._sorted(self.root / kind):
                    if f"{kind}/{folder}/\U0010ffff" > after:
                        yield from self._in_folder(f"{kind}/{folder}", after)

    def has(self, key: str) -> bool:
        """Whether an object is there."""
        self._versions.check_there()
        with store_errors():
            return (self.root / key).is_file()

    def check(self, key: str, pace: Pace) -> Damage | None:
        """Read one object and say what is wrong with it, or None."""
        self._versions.check_there()
        return _examine(self.root, key, pace)

    def heal(self, key: str) -> bool:
        """Replace an object by the first replica's that is sound."""
        return any(_examine(replica, key, lambda _: None) is None and self._take(key, replica) for replica in self._replicas)

    @contextmanager
    def sweeping(self) -> Iterator[bool]:
        """Hold the store's lock alone, if it can be had at once."""
        self._versions.check_there()
        with store_errors():
            descriptor = os.open(self.root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def remove(self, key: str) -> None:
        """Unseal an object and remove it."""
        place = self.root / key
        with store_errors(), suppress(FileNotFoundError):
            unseal(place)
            self._change(place.parent, place.unlink)

    def _take(self, key: str, replica: Path) -> bool:
        """Copy an object aside, examine the copy, and give it the damaged one's name."""
        aside = self.root / ASIDE / f"heal-{os.getpid()}" / key
        with store_errors():
            try:
                aside.parent.mkdir(parents=True)
                _copy(replica / key, aside)
                if _examine(self.root / ASIDE / f"heal-{os.getpid()}", key, lambda _: None) is not None:
                    return False
                self._put(aside, self.root / key)
            finally:
                _remove_tree(self.root / ASIDE / f"heal-{os.getpid()}")
        return True

    def _put(self, aside: Path, place: Path) -> None:
        with suppress(FileNotFoundError):
            unseal(place)
        self._change(place.parent, lambda: os.replace(aside, place))
        Sealing(self._immutable).seal(place)

    def _change(self, folder: Path, change: Callable[[], None]) -> None:
        """Do something to what is in a folder, durably; the folder is closed again behind it."""
        sealing = Sealing(self._immutable)
        try:
            sealing.add(folder, change)
            _sync(folder)
        finally:
            sealing.close_all()

    def _in_folder(self, folder: str, after: str) -> Iterator[StoredObject]:
        for name in self._sorted(self.root / folder):
            key = f"{folder}/{name}"
            if key <= after or not (OBJECT_KEY.fullmatch(key) or VERSION_KEY.fullmatch(key)):
                continue
            with suppress(FileNotFoundError):
                facts = (self.root / key).stat()
                yield StoredObject(key, facts.st_size, datetime.fromtimestamp(facts.st_mtime, UTC))

    @staticmethod
    def _sorted(folder: Path) -> Sequence[str]:
        try:
            return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []


def _examine(root: Path, key: str, pace: Pace) -> Damage | None:
    """What is wrong with an object below ``root``, or None."""
    try:
        descriptor = os.open(root / key, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            sound = _is_sound(key, descriptor, pace)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return Damage(key, "missing")
    except OSError as error:
        if error.errno in (errno.EIO, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP):
            return Damage(key, "unreadable")
        with store_errors():
            raise
    return None if sound else Damage(key, "changed")


def _is_sound(key: str, descriptor: int, pace: Pace) -> bool:
    if match := OBJECT_KEY.fullmatch(key):
        digest = hashlib.sha256()
        for window in _windows(descriptor, pace):
            digest.update(window)
        return digest.hexdigest() == match["digest"]
    match = VERSION_KEY.fullmatch(key)
    try:
        document = decode_document(b"".join(bytes(window) for window in _windows(descriptor, pace)))
    except ValueError:
        return False
    return match is not None and (document.project, document.version) == (match["project"], int(match["number"]))


def _windows(descriptor: int, pace: Pace) -> Iterator[memoryview]:
    """A file's bytes, dropped from the page cache behind the reader."""
    buffer, at = memoryview(bytearray(WINDOW_BYTES)), 0
    while count := os.preadv(descriptor, [buffer], at):
        yield buffer[:count]
        os.posix_fadvise(descriptor, at, count, os.POSIX_FADV_DONTNEED)
        at += count
        pace(count)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        while data := reading.read(WINDOW_BYTES):
            writing.write(data)
        writing.flush()
        os.fchmod(writing.fileno(), FILE_MODE)
        os.utime(writing.fileno())
        os.fsync(writing.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_tree(folder: Path) -> None:
    for at, folders, files in os.walk(folder, topdown=False):
        for name in files:
            (Path(at) / name).unlink()
        for name in folders:
            (Path(at) / name).rmdir()
    with suppress(FileNotFoundError):
        folder.rmdir()
