"""Walks a run's folders and brings everything in them into the spool, in the order of the trees, while several files are read at once.

Whatever is read goes through one queue: what is known at once waits behind what is still being read, so that the order holds. The queue's
weight is bounded, and with it memory and open directories.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from slidekeeper.adapters.snapshots.aside import Aside
from slidekeeper.adapters.snapshots.contents import Contents, Found, Small
from slidekeeper.adapters.snapshots.folders import Folder, each_status, kind_of, open_inner, open_source
from slidekeeper.adapters.snapshots.holdings import Holdings
from slidekeeper.adapters.snapshots.known_files import Fresh, KnownFile, KnownFiles
from slidekeeper.adapters.snapshots.layout import SMALL_BYTES
from slidekeeper.adapters.snapshots.packing import Packs
from slidekeeper.adapters.snapshots.spool import Enter, Kept, Leave, Linked, Missed, Record, Spool
from slidekeeper.adapters.snapshots.troubles import run_errors, store_errors
from slidekeeper.errors import Permanent
from slidekeeper.ports.snapshots import LeavesOut, Source

BATCH_FILES = 64
BATCH_BYTES = 512 * 1024
QUEUE_WEIGHT = 64 * 1024 * 1024
WEIGHT_OF_A_RECORD = 4 * 1024
WEIGHT_OF_A_LARGE_FILE = 256 * 1024
WEIGHT_OF_A_FOLDER = 512 * 1024
MOST_LEVELS = 250
"""Deeper folders are refused: each level is an open directory."""


@dataclass(slots=True)
class _Level:
    """A directory that is being walked."""

    folder: Folder
    entries: Iterator[tuple[bytes, os.stat_result]]
    known: Iterator[KnownFile]
    next_known: KnownFile | None
    batch: list[Found] = field(default_factory=list)
    """Small files that are to be read."""
    batch_bytes: int = 0

    def known_file(self, name: bytes) -> KnownFile | None:
        """What an earlier capture knew of this name; names are asked for in order."""
        while self.next_known is not None and self.next_known.name < name:
            self.next_known = next(self.known, None)
        return self.next_known if self.next_known is not None and self.next_known.name == name else None


class Gathering:
    """One capture's reading."""

    def __init__(self, spool: Spool, known: KnownFiles, holdings: Holdings, packs: Packs, contents: Contents, aside: Aside) -> None:
        self._spool = spool
        self._known = known
        self._holdings = holdings
        self._packs = packs
        self._contents = contents
        self._aside = aside
        self._queue: deque[tuple[int, Callable[[], None]]] = deque()
        self._weight = 0
        self._levels: list[_Level] = []
        self._base = b""
        self._leaves_out: LeavesOut = lambda path, is_folder: False
        self.added = 0
        """Bytes that the store did not hold before."""

    def enter(self, name: bytes, mode: int = 0o755, mtime: int = 0) -> None:
        """Begin a directory that only the version has."""
        self._emit(Enter(name, mode, mtime))

    def leave(self) -> None:
        """End it."""
        self._emit(Leave())

    def add_data(self, name: bytes, data: bytes) -> None:
        """A small file that no folder holds, like ``provenance.json``."""
        status = os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, len(data), 0, 0, 0), {"st_mtime_ns": 0})
        found = Found(name, status)
        self._place_small(Small.of(found, data), b"")

    def add_folder(self, name: bytes, source: Source, leaves_out: LeavesOut) -> None:
        """Walk one source."""
        self._base, self._leaves_out = os.fsencode(os.path.join(source.anchor, source.below)), leaves_out
        self._descend(name, open_source(source))
        while self._levels:
            level = self._levels[-1]
            for entry, status in level.entries:
                self._visit(level, entry, status)
                if self._levels[-1] is not level:
                    break
            else:
                self._ascend()
        self._drain(0)

    def close(self) -> None:
        """Let go of what is open; nothing more is read."""
        self._contents.close()
        for level in self._levels:
            os.close(level.folder.descriptor)
        for _, finish in self._queue:
            if isinstance(finish, _End):
                os.close(finish.folder.descriptor)
        self._queue.clear()

    def _visit(self, level: _Level, name: bytes, status: os.stat_result) -> None:
        kind = kind_of(status)
        if self._leaves_out(level.folder.below(name), kind == "directory"):
            return
        match kind:
            case "file":
                self._visit_file(level, Found(name, status))
            case "directory":
                inner = open_inner(level.folder, name)
                self._emit(Missed(name, "unreadable")) if inner is None else self._descend(name, inner)
            case "symlink":
                with run_errors():
                    target = os.readlink(name, dir_fd=level.folder.descriptor)
                self._emit(Linked(name, target, status.st_mtime_ns))
            case _:
                self._emit(Missed(name, kind))

    def _descend(self, name: bytes, folder: Folder) -> None:
        if len(self._levels) >= MOST_LEVELS:
            os.close(folder.descriptor)
            raise Permanent("run-too-deep", f"folders lie more than {MOST_LEVELS} deep", "Exclude them: [training] exclude")
        self._emit(Enter(name, stat.S_IMODE(folder.status.st_mode), folder.status.st_mtime_ns))
        known = self._known.in_folder(self._path(folder))
        self._levels.append(_Level(folder, each_status(folder, folder.names()), known, next(known, None)))

    def _ascend(self) -> None:
        level = self._levels[-1]
        self._flush_batch()
        self._levels.pop()
        self._later(WEIGHT_OF_A_FOLDER, _End(level.folder, self._spool))

    def _path(self, folder: Folder) -> bytes:
        return os.path.join(self._base, folder.path) if folder.path else self._base

    def _visit_file(self, level: _Level, found: Found) -> None:
        known = level.known_file(found.name)
        if known is not None and known.fits(found.status) and self._holdings.has(known):
            self._emit(_kept(found, known.digest, known.pack, None))
        elif found.status.st_size > SMALL_BYTES:
            self._flush_batch()
            path, digest = self._contents.take_large(level.folder, found)
            self._later(WEIGHT_OF_A_LARGE_FILE, lambda: self._finish_large(found, self._path(level.folder), path, digest))
        else:
            level.batch.append(found)
            level.batch_bytes += found.status.st_size
            if len(level.batch) >= BATCH_FILES or level.batch_bytes >= BATCH_BYTES:
                self._flush_batch()

    def _flush_batch(self) -> None:
        if not self._levels or not self._levels[-1].batch:
            return
        level = self._levels[-1]
        batch, weight = level.batch, level.batch_bytes + len(level.batch) * WEIGHT_OF_A_RECORD
        level.batch, level.batch_bytes = [], 0
        reading = self._contents.read_small(level.folder, batch)
        self._later(weight, lambda: self._finish_small(self._path(level.folder), reading))

    def _emit(self, record: Record) -> None:
        """Write a record, behind all that is still being read."""
        self._flush_batch()
        if self._queue:
            self._later(WEIGHT_OF_A_RECORD, lambda: self._spool.write(record))
        else:
            self._spool.write(record)

    def _later(self, weight: int, finish: Callable[[], None]) -> None:
        self._queue.append((weight, finish))
        self._weight += weight
        self._drain(QUEUE_WEIGHT)

    def _drain(self, weight: int) -> None:
        """Finish what was asked for first, until not more than ``weight`` waits."""
        while self._queue and (self._weight > weight or weight == 0):
            lighter, finish = self._queue.popleft()
            self._weight -= lighter
            finish()

    def _finish_small(self, folder: bytes, reading: Future[list[Small]]) -> None:
        for small in reading.result():
            self._place_small(small, folder)

    def _place_small(self, small: Small, folder: bytes) -> None:
        found = small.found
        if small.data is None:
            self._spool.write(Missed(found.name, "unreadable"))
            return
        pack, ordinal = self._known.pack_of(small.digest)
        if ordinal is None and (pack is None or not self._holdings.has_pack(pack)):
            pack = None
            with store_errors():
                ordinal = self._packs.add(small.digest, small.crc, small.data)
            self._known.packed(small.digest, ordinal)
            self.added += len(small.data)
        self._spool.write(_kept(found, small.digest, pack, ordinal))
        if folder:
            self._known.note(Fresh(folder, found.name, found.status, small.digest, pack, ordinal))

    def _finish_large(self, found: Found, folder: bytes, path: Path, digesting: Future[bytes | None]) -> None:
        digest = digesting.result()
        if digest is None:
            self._spool.write(Missed(found.name, "unreadable"))
            return
        with store_errors():
            if self._holdings.has_blob(digest) or self._aside.has("blobs", digest.hex()):
                path.unlink()
            else:
                self._aside.keep(path, "blobs", digest.hex())
                self.added += found.status.st_size
        self._spool.write(_kept(found, digest, None, None))
        self._known.note(Fresh(folder, found.name, found.status, digest, None, None))


@dataclass(frozen=True, slots=True)
class _End:
    """A directory whose files are all read: it must be what it was."""

    folder: Folder
    spool: Spool

    def __call__(self) -> None:
        self.folder.close()
        self.spool.write(Leave())


def _kept(found: Found, digest: bytes, pack: bytes | None, ordinal: int | None) -> Kept:
    status = found.status
    return Kept(found.name, status.st_size, digest, stat.S_IMODE(status.st_mode), status.st_mtime_ns, pack, ordinal)
