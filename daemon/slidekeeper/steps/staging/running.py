"""Stagings that are being copied at the moment: how far they are, and how they are stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from slidekeeper.model.staging import StagingId
from slidekeeper.ports.tier import Stopped


class Rate:
    """Holds all threads together to so many bytes a second; 0 lets them go."""

    def __init__(self, bytes_per_second: int) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait(self, count: int, stop: threading.Event) -> None:
        """Wait until ``count`` bytes may pass, or until stopped."""
        if not self._rate:
            return
        with self._lock:
            now = time.monotonic()
            begins = max(now, self._free_at)
            self._free_at = begins + count / self._rate
        stop.wait(begins - now)


class Progress:
    """One copy: counted by its threads, read and stopped by anybody."""

    def __init__(self) -> None:
        self.size = self.files = self.verified = self.verified_files = 0
        self.copied = 0
        self.copied_files = 0
        self.width = 0
        self.started = time.monotonic()
        self.stopping = threading.Event()
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def expect(self, size: int, files: int, verified: int, verified_files: int) -> None:
        """What is to be there in the end, and what an earlier attempt has copied; bytes and files."""
        self.size, self.files, self.verified, self.verified_files = size, files, verified, verified_files

    def tell(self, count: int) -> None:
        """A window was copied.

        Raises:
            Stopped: somebody wants that.
        """
        if self.stopping.is_set():
            raise Stopped
        with self._lock:
            self.copied += count

    def tell_file(self) -> None:
        """A file was copied."""
        with self._lock:
            self.copied_files += 1

    def answer(self) -> Mapping[str, Any]:
        """As JSON."""
        seconds = max(time.monotonic() - self.started, 1e-3)
        rate = self.copied / seconds
        done = self.verified + self.copied
        return {
            "bytes": done,
            "size": self.size,
            "files": self.verified_files + self.copied_files,
            "of": self.files,
            "verified_before": self.verified,
            "bytes_per_second": round(rate),
            "copies": self.width,
            "seconds_left": round(max(0, self.size - done) / rate, 1) if rate else None,
        }


class Running:
    """All copies under way. Used in the event loop and in threads."""

    def __init__(self) -> None:
        self._copies: dict[StagingId, Progress] = {}
        self.closing = False
        """The daemon stops: what is stopped now is not begun again."""

    def begin(self, staging: StagingId) -> Progress:
        """This one runs now; where the daemon stops, it finds itself stopped at once."""
        progress = self._copies[staging] = Progress()
        if self.closing:
            progress.stopping.set()
        return progress

    def end(self, staging: StagingId) -> None:
        """This one runs no more."""
        self._copies.pop(staging).ended.set()

    def progress(self, staging: StagingId) -> Progress | None:
        """How far it is, or None when it does not run."""
        return self._copies.get(staging)

    def stop(self, staging: StagingId) -> None:
        """End the copy if it runs, and wait until it has; called in a thread."""
        progress = self._copies.get(staging)
        if progress:
            progress.stopping.set()
            progress.ended.wait()

    def close(self) -> None:
        """End all copies, and let none begin."""
        self.closing = True
        for progress in list(self._copies.values()):
            progress.stopping.set()
