"""Copies what is missing of a staging in threads, as many as bring more, and settles what was copied in batches."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeAlias

from slidekeeper.errors import Permanent
from slidekeeper.model.manifest import StagedImage
from slidekeeper.ports.tier import StagingFolder, Stopped
from slidekeeper.steps.staging.pacing import Pace, first_pace, next_pace
from slidekeeper.steps.staging.running import Progress, Rate

LOOK_SECONDS = 2.0
"""What was copied is made durable, and the pace looked at, so often."""

Portion: TypeAlias = Sequence[StagedImage]
NoteDamage: TypeAlias = Callable[[StagedImage, str], None]


class Copying:
    """One attempt at one staging."""

    def __init__(self, folder: StagingFolder, replicas: int, progress: Progress, rate: Rate, note_damage: NoteDamage) -> None:
        self._folder = folder
        self._replicas = replicas
        self._progress = progress
        self._rate = rate
        self._note_damage = note_damage
        self._waiting: deque[Portion] = deque()
        self._copied: list[StagedImage] = []
        self._lock = threading.Lock()
        self._working = 0

    def run(self, portions: Sequence[Portion], most: int) -> None:
        """Copy all; returns when everything is durable.

        Raises:
            Stopped: it was asked to.
            Permanent: a slide is missing or damaged, and no replica has it.
            Unavailable: a place cannot be used.
        """
        self._waiting.extend(portions)
        try:
            with ThreadPoolExecutor(most, thread_name_prefix="stage") as pool:
                self._copy_all(pool, first_pace(most))
        except (Stopped, Permanent):
            self._settle()  # so that the next attempt finds it
            raise

    def _copy_all(self, pool: ThreadPoolExecutor, pace: Pace) -> None:
        working: set[Future[None]] = set()
        try:
            while self._waiting or working:
                self._progress.width = pace.width
                working |= {self._begin(pool) for _ in range(pace.width - len(working)) if self._waiting}
                before = self._progress.copied
                done, working = wait(working, LOOK_SECONDS, FIRST_EXCEPTION)
                for each in done:
                    each.result()
                if working:
                    pace = next_pace(pace, self._progress.copied - before)
                self._settle()
        except BaseException:
            self._waiting.clear()
            self._progress.stopping.set()
            raise

    def _begin(self, pool: ThreadPoolExecutor) -> Future[None]:
        with self._lock:
            self._working += 1
        return pool.submit(self._work)

    def _work(self) -> None:
        """Copy portions until there are none, or fewer copies are wanted."""
        while True:
            with self._lock:
                if not self._waiting or self._working > self._progress.width:
                    self._working -= 1
                    return
                portion = self._waiting.popleft()
            for image in portion:
                self._copy(image)

    def _settle(self) -> None:
        with self._lock:
            copied, self._copied = self._copied, []
        if copied:
            self._folder.settle(copied)

    def _copy(self, image: StagedImage) -> None:
        """Copy from the bucket or, where that is damaged, from the first replica that is not."""
        found = [""] * (self._replicas + 1)
        for source in range(self._replicas + 1):
            found[source] = self._copied_from(source, image)
            if found[source] == image.digest:
                with self._lock:
                    self._copied.append(image)
                self._progress.tell_file()
                return
            if found[source] and source == 0:
                self._note_damage(image, found[source])
        raise _lost(image, any(found))

    def _copied_from(self, source: int, image: StagedImage) -> str:
        """The digest of what was copied; empty where there is nothing."""
        told = 0

        def tell(count: int) -> None:
            nonlocal told
            self._rate.wait(count, self._progress.stopping)
            self._progress.tell(count)
            told += count

        try:
            digest = self._folder.copy(image, tell, source)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        if digest != image.digest:
            self._progress.tell(-told)
        return digest


def _lost(image: StagedImage, damaged: bool) -> Permanent:
    what = f"slide {image.number} revision {image.revision}"
    remedy = "Restore it in the bucket, then `slidekeeper staging retry`"
    if damaged:
        return Permanent("bucket-object-damaged", f"{what}: what the bucket holds is not what was stored", remedy)
    return Permanent("slide-missing", f"{what} is not in the bucket", remedy)
