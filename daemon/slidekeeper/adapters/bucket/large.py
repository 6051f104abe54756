"""Splices a large file at about the cost of copying it: the kernel copies, and what it wrote is read back, searched and digested meanwhile.

Kept bytes never pass through this process on their way (the kernel shares them where the file system can). What is searched and
digested is the target as it was written, so that nothing can change between the proof and the result. Write-back to the disk
begins at once, so that the final fsync finds little to do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event

import numpy as np
from blake3 import blake3

from slidekeeper.adapters.bucket.pieces import Patch, PieceCursor, Span, unreadable
from slidekeeper.errors import SourceChanged
from slidekeeper.model.splice import SplicePlan
from slidekeeper.ports.bucket import Inspect, Written

WINDOW_BYTES = 4 * 1024 * 1024
FLUSH_WINDOWS = 16
"""After so many windows write-back is asked for, unless the last request is still under way."""

LEAD_WINDOWS = 64
"""So far the copy may run ahead of the search, while the page cache surely holds it: 256 MB."""

BUFFERS = 3
DRAIN_SECONDS = 0.05

NO_KERNEL_COPY = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})
"""Errors by which copy_file_range(2) says that these two files cannot be copied that way."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the output: where it lies, what replaces the source in it, and what it is."""

    offset: int
    length: int
    patches: Sequence[Patch]
    spans: Sequence[Span]


def splice_large(plan: SplicePlan, source: int, target: int, inspect: Inspect) -> Written:
    """Execute a plan that keeps every byte at its offset, from one file descriptor to another.

    Raises:
        SourceChanged: the source ended before the plan did.
        SourceUnreadable: the source cannot be read.
    """
    with ExitStack() as stack:
        splice = _LargeSplice(plan, _Copier(source, target), inspect, stack)
        return splice.run()


class _Copier:
    """Writes windows of the output, and reads them back."""

    def __init__(self, source: int, target: int) -> None:
        self._source = source
        self._target = target
        self._shares = True

    def copy(self, window: Window) -> None:
        """Write one window: kept ranges by the kernel, the rest from memory."""
        at = 0
        for start, data in [*window.patches, (window.length, b"")]:
            self._copy_range(window.offset + at, start - at)
            _write_fully(self._target, data, window.offset + start)
            at = start + len(data)

    def read_back(self, window: Window, buffer: memoryview) -> None:
        """What the target holds now."""
        done = 0
        while done < window.length:
            done += os.preadv(self._target, [buffer[done : window.length]], window.offset + done)

    def original(self, offset: int, length: int) -> bytes:
        """Source bytes that do not reach the output; fewer where the source ends."""
        try:
            return os.pread(self._source, length, offset)
        except OSError as trouble:
            raise unreadable(trouble) from None

    def flush(self) -> None:
        """Bring what was written to the disk."""
        os.fdatasync(self._target)

    def _copy_range(self, offset: int, length: int) -> None:
        done = 0
        while done < length:
            try:
                got = self._copy_some(offset + done, length - done)
            except OSError:
                self.original(offset + done, 1)  # the source's own trouble is told apart from the target's
                raise
            if got == 0:
                raise SourceChanged("source-changed", "the file ended before all that its headers refer to was read")
            done += got

    def _copy_some(self, offset: int, length: int) -> int:
        """Bytes that the kernel copied: shared or copied within a file system, through its page cache between two."""
        if self._shares:
            try:
                return os.copy_file_range(self._source, self._target, length, offset, offset)
            except OSError as refused:
                if refused.errno not in NO_KERNEL_COPY:
                    raise
                self._shares = False
        os.lseek(self._target, offset, os.SEEK_SET)
        return os.sendfile(self._target, self._source, offset, length)


class _LargeSplice:
    """One large file on its way: a thread copies ahead, this one reads back, two more search and digest."""

    def __init__(self, plan: SplicePlan, copier: _Copier, inspect: Inspect, stack: ExitStack) -> None:
        self._plan = plan
        self._copier = copier
        self._inspect = inspect
        self._copying, self._flushing, self._searching, self._digesting = (stack.enter_context(ThreadPoolExecutor(1)) for _ in range(4))
        self._ahead: Queue[Window | None] = Queue(LEAD_WINDOWS)
        self._stop = Event()
        self._buffers = [memoryview(np.empty(WINDOW_BYTES, np.uint8).data) for _ in range(BUFFERS)]
        self._busy: list[list[Future[None]]] = [[] for _ in range(BUFFERS)]
        self._output_digest = blake3()
        self._source_digest = blake3()

    def run(self) -> Written:
        """Copy, search and digest all; what fails first is raised once nothing runs any more."""
        copying = self._copying.submit(self._copy_all)
        try:
            for index, window in enumerate(iter(self._ahead.get, None)):
                self._read_back(window, index % BUFFERS)
            for index in range(BUFFERS):
                self._wait_for(index)
        finally:
            self._stop.set()
            while not copying.done():
                with suppress(Empty):
                    self._ahead.get(timeout=DRAIN_SECONDS)
        copying.result()
        self._digest_rest()
        return Written(self._plan.size, f"blake3:{self._output_digest.hexdigest()}", f"blake3:{self._source_digest.hexdigest()}")

    def _copy_all(self) -> None:
        flushed: Future[None] | None = None
        try:
            for index, window in enumerate(_windows(self._plan), 1):
                if self._stop.is_set():
                    return
                self._copier.copy(window)
                self._ahead.put(window)
                if index % FLUSH_WINDOWS == 0 and (flushed is None or flushed.done()):
                    flushed = self._flushing.submit(self._copier.flush)
        finally:
            self._ahead.put(None)
        if flushed is not None:
            flushed.result()

    def _read_back(self, window: Window, index: int) -> None:
        """Hand one window to search and digests, each of which takes them in order."""
        self._wait_for(index)
        buffer = self._buffers[index][: window.length]
        self._copier.read_back(window, buffer)
        self._busy[index] = [
            self._searching.submit(self._search, window, buffer),
            self._digesting.submit(self._digest, window, buffer),
        ]

    def _wait_for(self, index: int) -> None:
        busy, self._busy[index] = self._busy[index], []
        for task in busy:
            task.result()

    def _search(self, window: Window, buffer: memoryview) -> None:
        for start, end, content in window.spans:
            self._inspect(buffer[start:end], content)

    def _digest(self, window: Window, buffer: memoryview) -> None:
        """The output as it is; the source as it was, of which only the replaced bytes are still to be read."""
        self._output_digest.update(buffer)
        at = 0
        for start, data in window.patches:
            self._source_digest.update(buffer[at:start])
            self._source_digest.update(self._copier.original(window.offset + start, len(data)))
            at = start + len(data)
        self._source_digest.update(buffer[at:])

    def _digest_rest(self) -> None:
        """What the source holds behind the end of the plan."""
        offset = self._plan.size
        while data := self._copier.original(offset, WINDOW_BYTES):
            self._source_digest.update(data)
            offset += len(data)


def _windows(plan: SplicePlan) -> Iterator[Window]:
    cursor = PieceCursor(plan)
    for offset in range(0, plan.size, WINDOW_BYTES):
        length = min(WINDOW_BYTES, plan.size - offset)
        yield Window(offset, length, *cursor.take(length))


def _write_fully(target: int, data: bytes, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(target, data[done:], offset + done)
