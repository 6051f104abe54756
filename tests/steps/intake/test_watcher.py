"""A drop folder is scanned when hints say so, at its interval in any case, and anew whenever it was away."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.hints import InotifyHints
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.drop.scan import TreeScan
from slidekeeper.errors import Refused, Temporary, Unavailable
from slidekeeper.model.phi import RelativePath
from slidekeeper.ports.drop import Hints, Sighting
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake.watcher import WatchedDrop, Watcher
from steps.intake.drop_site import eventually
from strangers import needs_root, somebody_else


@dataclass
class ToldHints:
    """Hints that the test gives."""

    starts: int = 0
    stops: int = 0
    deaf: bool = False
    held: int | None = None
    limit: int | None = None
    degraded: str = ""
    on_start: Callable[[], object] = lambda: None
    queue: asyncio.Queue[frozenset[RelativePath] | None] = field(default_factory=asyncio.Queue)

    def start(self) -> None:
        self.starts += 1
        self.deaf = False
        self.on_start()

    def stop(self) -> None:
        self.stops += 1

    def is_deaf(self) -> bool:
        return self.deaf

    def watches(self) -> int | None:
        return self.held

    async def paths(self) -> AsyncIterator[frozenset[RelativePath] | None]:
        while True:
            yield await self.queue.get()

    def tell(self, *paths: bytes) -> None:
        self.queue.put_nowait(frozenset(RelativePath(path) for path in paths))


@dataclass
class Post:
    """A watcher on a real folder, with a notebook for what it finds."""

    folder: Path
    scan_seconds: float = 60.0
    hints: Any = field(default_factory=ToldHints)
    found: list[bytes] = field(default_factory=list)
    scans: int = 0
    told: list[Any] = field(default_factory=list)
    suspended: list[Unavailable] = field(default_factory=list)
    trouble: Exception | None = None
    leaves_for_later: int = 0
    """So many times, what is found is left for the next scan."""
    watcher: Watcher = field(init=False)

    @property
    def root(self) -> Path:
        return self.folder / "drop"

    async def _ingest(self, _: WatchedDrop, sightings: Sequence[Sighting]) -> None:
        self.found += [sighting.path.reveal() for sighting in sightings]
        if self.leaves_for_later:
            self.leaves_for_later -= 1
            for sighting in sightings:
                self.watcher.look_later(sighting.path)
        if self.trouble:
            raise self.trouble

    async def _forget(self, _: object, __: object) -> None:
        """Nothing is known here."""

    async def _hear(self, _: object) -> None:
        self.scans += 1

    async def _report(self, event: Any) -> None:
        self.told.append(event)

    async def _suspend(self, away: Unavailable) -> None:
        self.suspended.append(away)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[Watcher]:
        """Watch, from the end of the first scan on."""
        self.root.mkdir(exist_ok=True)
        hints: Hints = self.hints
        index = self.folder / "intake.sqlite"
        known = SqliteKnownFiles(index)
        drop = PosixDrop("scanner", self.root)
        settings = DropSettings(path=self.root, scan_seconds=self.scan_seconds)
        watched = WatchedDrop(drop, TreeScan(drop, index, ()), hints, settings)
        watcher = Watcher(watched, known, self._ingest, self._forget, self._hear, self._report, self._suspend, SystemClock())
        self.watcher = watcher
        task = asyncio.create_task(watcher.run())
        try:
            if not self.trouble:
                await self.until(lambda: self.scans > 0 and watcher.scan_seconds > 0)
            yield watcher
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            hints.stop()
            await known.close()

    async def until(self, condition: Any) -> None:
        """Wait until something is so."""

        async def holds() -> bool:
            return bool(condition())

        await eventually(holds)


@contextmanager
def a_stranger(post: Post) -> Iterator[None]:
    """Act as a user without rights, who may read the drop folder and write the index."""
    post.folder.chmod(0o777)
    with somebody_else(post.root):
        yield


@pytest.fixture
def post(tmp_path: Path) -> Post:
    (tmp_path / "drop").mkdir()
    return Post(tmp_path)


async def test_what_lies_there_at_the_start_is_found(post: Post) -> None:
    (post.root / "monday").mkdir()
    (post.root / "monday" / "a.svs").touch()
    async with post.watching():
        assert post.found == [b"monday/a.svs"]


async def test_a_hint_leads_to_the_file_long_before_the_next_scan(post: Post) -> None:
    async with post.watching():
        (post.root / "a.svs").touch()
        (post.root / "b.svs").touch()
        post.hints.tell(b"a.svs")
        await post.until(lambda: post.found)
    assert post.found == [b"a.svs"]


async def test_hints_that_come_together_are_one_look(post: Post) -> None:
    async with post.watching():
        (post.root / "monday").mkdir()
        for name in ("a", "b"):
            (post.root / "monday" / name).touch()
        before = post.scans
        post.hints.tell(b"monday/a", b"monday/b")
        await post.until(lambda: len(post.found) == 2)
        await post.until(lambda: post.scans > before)
    assert post.scans == before + 1


async def test_a_hint_without_a_path_leads_to_a_scan_of_everything(post: Post) -> None:
    async with post.watching():
        (post.root / "a.svs").touch()
        post.hints.queue.put_nowait(None)
        await post.until(lambda: post.found == [b"a.svs"])


async def test_without_hints_everything_is_found_at_the_interval(post: Post) -> None:
    post.scan_seconds = 0.05
    async with post.watching():
        (post.root / "a.svs").touch()
        await post.until(lambda: b"a.svs" in post.found)


async def test_a_real_hint_of_the_kernel_leads_to_the_file_at_once(post: Post) -> None:
    post.hints = InotifyHints(post.root)
    async with post.watching():
        (post.root / "monday").mkdir()
        (post.root / "monday" / "a.svs").write_bytes(b"pixels")
        await post.until(lambda: b"monday/a.svs" in post.found)


async def test_a_file_that_was_left_for_later_is_found_by_the_next_scan_and_only_once_more(post: Post) -> None:
    post.scan_seconds = 0.05
    (post.root / "a.svs").touch()
    os.utime(post.root, (1, 1))
    post.leaves_for_later = 1
    async with post.watching():
        await post.until(lambda: post.scans > 4)
    assert post.found == [b"a.svs", b"a.svs"]


async def test_a_file_that_was_left_for_later_is_found_after_a_crash_though_its_folder_did_not_change(post: Post) -> None:
    (post.root / "a.svs").touch()
    os.utime(post.root, (1, 1))
    async with post.watching():
        post.leaves_for_later = 1
        post.hints.tell(b"a.svs")
        await post.until(lambda: len(post.found) == 2)
        await post.until(lambda: post.scans == 2)
    post.scans = 0
    async with post.watching():
        assert len(post.found) == 3


async def test_what_could_not_be_taken_in_is_found_again(post: Post) -> None:
    (post.root / "a.svs").touch()
    post.trouble = Temporary("drop-error")
    async with post.watching():
        await post.until(lambda: len(post.found) > 1)
        post.trouble = None
        await post.until(lambda: post.scans > 0)
    assert set(post.found) == {b"a.svs"}


async def test_what_keeps_a_folder_from_being_scanned_is_shown_until_it_is_mended(post: Post) -> None:
    (post.root / "a.svs").touch()
    post.trouble = Refused("intake-index-damaged")
    async with post.watching() as watcher:
        await post.until(lambda: watcher.away == "intake-index-damaged")
        post.trouble = None
        await post.until(lambda: post.scans > 0)
        assert watcher.away == ""


async def test_a_folder_that_is_away_is_told_and_scanned_when_it_is_back(post: Post) -> None:
    post.scan_seconds = 0.05
    async with post.watching() as watcher:
        post.root.rename(post.folder / "unmounted")
        await post.until(lambda: watcher.away == "unreachable")
        await post.until(lambda: post.hints.stops)
        starts = post.hints.starts
        (post.folder / "unmounted" / "a.svs").touch()
        (post.folder / "unmounted").rename(post.root)
        await post.until(lambda: b"a.svs" in post.found)
        assert watcher.away == ""
    assert post.hints.starts > starts
    assert {away.place for away in post.suspended} == {"drop:scanner"}


async def test_a_folder_that_is_not_there_at_the_start_is_waited_for(post: Post) -> None:
    (post.root / "a.svs").touch()
    post.root.rename(post.folder / "unmounted")
    post.trouble = Temporary("not yet")  # so that the first scan is not waited for
    async with post.watching() as watcher:
        post.trouble = None
        post.root.rmdir()
        await post.until(lambda: watcher.away)
        (post.folder / "unmounted").rename(post.root)
        await post.until(lambda: post.found == [b"a.svs"])


async def test_deaf_hints_are_begun_anew_and_everything_is_scanned_behind_it(post: Post) -> None:
    post.scan_seconds = 0.05
    async with post.watching():
        post.hints.on_start = (post.root / "missed.svs").touch
        post.hints.deaf = True
        await post.until(lambda: post.hints.starts == 2)
        scans = post.scans
        await post.until(lambda: post.found)
        assert post.scans <= scans + 1
    assert not post.hints.deaf


async def test_fewer_watches_than_directories_are_told_once_and_taken_back(post: Post) -> None:
    (post.root / "monday").mkdir()
    post.scan_seconds = 0.05
    post.hints.held = 1
    async with post.watching() as watcher:
        await post.until(lambda: post.told)
        assert watcher.degraded == "watch-limit"
        scans = post.scans
        await post.until(lambda: post.scans > scans + 2)
        post.hints.held = 2
        await post.until(lambda: len(post.told) > 1)
    assert [(event.type, event.place) for event in post.told] == [("watch.degraded", "drop:scanner"), ("watch.restored", "drop:scanner")]


@pytest.mark.parametrize(("degraded", "held"), [("watch-limit", None), ("", 1)], ids=["did not start", "too few watches"])
async def test_what_became_incomplete_forces_one_scan_and_is_begun_anew_with_every_scan(
    post: Post, degraded: str, held: int | None
) -> None:
    (post.root / "monday").mkdir()
    post.hints.degraded, post.hints.held = degraded, held
    async with post.watching():
        await post.until(lambda: post.scans == 2)  # long before the interval is over
        assert post.hints.starts == 2
        await asyncio.sleep(0.1)  # that no more is scanned cannot be polled for
        assert post.scans == 2
        post.hints.degraded, post.hints.held = "", 2
        post.hints.queue.put_nowait(None)
        await post.until(lambda: len(post.told) == 2)
    assert (post.told[-1].type, post.hints.starts) == ("watch.restored", 3)


@needs_root
async def test_a_folder_that_may_not_be_watched_is_no_missing_watch(post: Post) -> None:
    (post.root / "closed").mkdir(mode=0o700)
    post.hints.held = 1
    with a_stranger(post):
        async with post.watching() as watcher:
            assert watcher.degraded == ""


async def test_an_overflow_is_told(post: Post) -> None:
    post.hints.degraded = "overflow"
    async with post.watching():
        await post.until(lambda: post.told)
    assert post.told[0].reason == "overflow"


@needs_root
async def test_folders_that_cannot_be_read_are_told_by_their_number_and_no_name(post: Post, capsys: pytest.CaptureFixture[str]) -> None:
    post.scan_seconds = 0.05
    (post.root / "Doe^Jane").mkdir()
    (post.root / "Doe^Jane").chmod(0o700)
    with a_stranger(post):
        async with post.watching():
            told = capsys.readouterr().out
    assert "folders cannot be read" in told
    assert "Doe" not in told
