"""Reads the files of a run, several at once: small ones in batches into memory, large ones into files of the capture."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue

from slidekeeper.adapters.snapshots.aside import Aside
from slidekeeper.adapters.snapshots.copying import Copier
from slidekeeper.adapters.snapshots.folders import Folder, is_still, open_file
from slidekeeper.adapters.snapshots.kernel import clone
from slidekeeper.adapters.snapshots.layout import FILE_MODE
from slidekeeper.adapters.snapshots.troubles import run_changed, run_errors, store_errors


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file, as the walk saw it."""

    name: bytes
    status: os.stat_result


@dataclass(frozen=True, slots=True)
class Small:
    """A small file's content; ``data`` is None where it may not be read."""

    found: Found
    data: bytes | None
    digest: bytes = b""
    crc: int = 0

    @classmethod
    def of(cls, found: Found, data: bytes) -> Small:
        """A small file with its digests."""
        return cls(found, data, hashlib.sha256(data).digest(), zlib.crc32(data))


class Contents:
    """Threads that read; their results come in the order in which they are asked for."""

    def __init__(self, aside: Aside, readers: int) -> None:
        self._aside = aside
        self._reading = ThreadPoolExecutor(readers)
        self._reading_small = ThreadPoolExecutor(1)  # short calls: more threads would only take the interpreter from each other
        self._digesting = ThreadPoolExecutor(readers)
        self._copiers: LifoQueue[Copier] = LifoQueue()
        self._cannot_clone: set[int] = set()
        """Devices whose files cannot be cloned into the store."""
        for _ in range(readers):
            self._copiers.put(Copier(self._digesting))

    def read_small(self, folder: Folder, files: Sequence[Found]) -> Future[list[Small]]:
        """Read small files of one folder, which stays open until then."""
        return self._reading_small.submit(_read_small, folder.descriptor, files)

    def take_large(self, folder: Folder, found: Found) -> tuple[Path, Future[bytes | None]]:
        """Clone a large file at once, or copy it in a thread; the digest follows, or None where the file may not be read."""
        path = self._aside.new_path()
        if found.status.st_dev not in self._cannot_clone:
            source = open_file(folder.descriptor, found.name, found.status)
            if source is None:
                return path, self._reading.submit(lambda: None)
            try:
                if _clone(source, path, found):
                    return path, self._reading.submit(self._digest, path)
            finally:
                os.close(source)
            self._cannot_clone.add(found.status.st_dev)
        return path, self._reading.submit(self._copy, folder.descriptor, found, path)

    def close(self) -> None:
        """Wait for what is under way; begin nothing more."""
        for pool in (self._reading, self._reading_small, self._digesting):
            pool.shutdown(cancel_futures=True)

    def _copy(self, folder: int, found: Found, path: Path) -> bytes | None:
        source = open_file(folder, found.name, found.status)
        if source is None:
            return None
        copier = self._copiers.get()
        try:
            target = _create(path)
            try:
                digest = copier.copy(source, target, found.status)
            finally:
                os.close(target)
            if not is_still(source, found.status):
                raise run_changed()
            return digest
        finally:
            self._copiers.put(copier)
            os.close(source)

    def _digest(self, path: Path) -> bytes:
        copier = self._copiers.get()
        try:
            with store_errors(), path.open("rb") as stream:
                return copier.digest(stream.fileno(), os.fstat(stream.fileno()))
        finally:
            self._copiers.put(copier)


def _clone(source: int, path: Path, found: Found) -> bool:
    """Let a new file share the source's extents: what is digested later is what the source was at this instant."""
    target = _create(path)
    try:
        with store_errors():
            is_cloned = clone(source, target)
    finally:
        os.close(target)
    if not is_cloned:
        path.unlink()
    elif not is_still(source, found.status):
        raise run_changed()
    return is_cloned


def _create(path: Path) -> int:
    with store_errors():
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


def _read_small(folder: int, files: Sequence[Found]) -> list[Small]:
    return [_read_one(folder, found) for found in files]


def _read_one(folder: int, found: Found) -> Small:
    descriptor = open_file(folder, found.name, found.status)
    if descriptor is None:
        return Small(found, None)
    try:
        with run_errors():
            data = os.read(descriptor, found.status.st_size + 1)
        if len(data) != found.status.st_size or not is_still(descriptor, found.status):
            raise run_changed()
    finally:
        os.close(descriptor)
    return Small.of(found, data)
