"""Unsettled packs are looked at when they are due, and never settle on what was seen before their last change."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.errors import Permanent, Refused, SourceChanged, Temporary, Unavailable, UndefinedTransition
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import Barcode, Member, PackFiles, RelativePath, Role
from slidekeeper.ports.drop import Sighting
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake import tracker as module
from slidekeeper.steps.intake.tracker import Tracker
from steps.intake.drop_site import QUICK, eventually

BATCH = BatchId("b" * 12)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNAVAILABLE_PAUSE_SECONDS", 0.02)


@dataclass
class Bench:
    """A tracker on a real folder and a real index, with a notebook for what it tells."""

    root: Path
    known: SqliteKnownFiles
    drop: Any
    told: list[Any] = field(default_factory=list)
    suspended: list[Unavailable] = field(default_factory=list)
    wholeness: Callable[[PackFiles], Awaitable[str]] | None = None
    refuses: bool = False
    tracker: Tracker = field(init=False)
    task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        settings = DropSettings(path=self.root, **QUICK)
        self.tracker = Tracker(
            {"scanner": self.drop},
            {"scanner": settings},
            self.known,
            self._report,
            self._whole,
            self._suspend,
            SystemClock(),
            lambda _drop: None,
        )

    async def _report(self, event: Any) -> None:
        self.told.append(event)
        if self.refuses:
            raise UndefinedTransition("undefined-transition")

    async def _whole(self, files: PackFiles) -> str:
        return await self.wholeness(files) if self.wholeness else ""

    async def _suspend(self, away: Unavailable) -> None:
        self.suspended.append(away)

    def pack(self, name: str, *others: str, pack: str = "a") -> PackFiles:
        """Files that are there now, as one pack."""
        members = tuple(self.member(each) for each in (name, *others))
        return PackFiles(PackId(pack * 16), "scanner", BATCH, RelativePath(b"a"), Barcode("a"), members)

    def member(self, name: str) -> Member:
        path = RelativePath(name.encode())
        role = {".svs": Role.IMAGE, ".txt": Role.BARCODE}[Path(name).suffix]
        identity = PosixDrop("scanner", self.root).identify(path)
        assert identity is not None
        return Member(path, role, identity)

    def write(self, name: str, content: bytes = b"pixels") -> None:
        (self.root / name).write_bytes(content)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the tracker; its fault ends the test."""
        self.task = asyncio.create_task(self.tracker.run())
        try:
            yield
        finally:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    async def first(self, type_: str) -> Any:
        """The first event of a type that was told."""

        async def told() -> Any:
            if self.task is not None and self.task.done():
                self.task.result()
            return next((event for event in self.told if event.type == type_), None)

        return await eventually(told)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "drop").mkdir()
    known = SqliteKnownFiles(tmp_path / "intake.sqlite")
    yield Bench(tmp_path / "drop", known, PosixDrop("scanner", tmp_path / "drop"))
    await known.close()


async def test_a_quiet_pack_settles_and_is_remembered(bench: Bench) -> None:
    bench.write("a.svs")
    files = bench.pack("a.svs")
    bench.tracker.track(files, gated=False)
    async with bench.running():
        settled = await bench.first("pack.settled")
    assert (settled.pack, settled.files, settled.size) == (files.pack, 1, 6)
    assert await bench.known.find(files.pack) == files
    assert files.pack not in bench.tracker
    assert bench.tracker.named("scanner", b"", b"a") is None


async def test_the_identity_that_was_seen_last_is_the_one_that_settles(bench: Bench) -> None:
    bench.write("a.svs", b"some")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    bench.write("a.svs", b"some more")
    async with bench.running():
        assert (await bench.first("pack.settled")).size == 9
    assert await bench.known.find(PackId("a" * 16)) == bench.pack("a.svs")


async def test_a_member_that_was_taken_away_is_no_member_any_more(bench: Bench) -> None:
    bench.write("a.svs")
    bench.write("a.txt")
    bench.tracker.track(bench.pack("a.svs", "a.txt"), gated=False)
    (bench.root / "a.txt").unlink()
    async with bench.running():
        assert (await bench.first("pack.settled")).files == 1


async def test_a_pack_of_which_nothing_is_left_has_vanished_and_is_forgotten(bench: Bench) -> None:
    bench.write("a.svs")
    files = bench.pack("a.svs")
    await bench.known.remember([files])
    bench.tracker.track(files, gated=False)
    (bench.root / "a.svs").unlink()
    async with bench.running():
        await bench.first("pack.vanished")
    assert await bench.known.find(files.pack) is None


async def test_a_gated_pack_settles_when_its_batchs_gate_opens(bench: Bench) -> None:
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=True)
    async with bench.running():
        bench.tracker.open_gate(BatchId("c" * 12))
        await asyncio.sleep(0.2)  # that nothing happens cannot be polled for
        assert bench.told == []
        bench.tracker.open_gate(BATCH)
        await bench.first("pack.settled")


async def test_a_pack_whose_notice_never_comes_is_reported_once_and_settles_when_it_does(bench: Bench) -> None:
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=True)
    async with bench.running():
        assert (await bench.first("pack.stuck")).reason == "waits-for-notice"
        await asyncio.sleep(0.1)  # that it is told once cannot be polled for
        assert len(bench.told) == 1
        assert bench.tracker.count("scanner") == (1, 1)
        bench.tracker.open_gate(BATCH)
        await bench.first("pack.settled")


async def test_a_gate_that_was_opened_before_a_pack_was_followed_is_open_for_it(bench: Bench) -> None:
    bench.tracker.open_gate(BATCH)
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=True)
    async with bench.running():
        await bench.first("pack.settled")


async def test_a_pack_that_always_changes_behind_its_settling_is_reported(bench: Bench) -> None:
    bench.write("a.svs")
    async with bench.running(), asyncio.timeout(5):
        for _ in range(50):
            bench.told.clear()
            bench.tracker.track(bench.pack("a.svs"), gated=False)
            await bench.first("pack.settled")
            if bench.told[0].type == "pack.stuck":
                break
    assert [(event.type, getattr(event, "reason", "")) for event in bench.told] == [("pack.stuck", "keeps-changing"), ("pack.settled", "")]


async def test_an_examination_that_is_always_disturbed_is_repeated_patiently_and_reported(bench: Bench) -> None:
    examined: list[PackFiles] = []

    async def disturbed(files: PackFiles) -> str:
        examined.append(files)
        raise SourceChanged("source-changed")

    bench.wholeness = disturbed
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        assert (await bench.first("pack.stuck")).reason == "keeps-changing"
    assert len(examined) <= QUICK["stuck_seconds"] / QUICK["settle_seconds"] + 1


async def test_an_image_that_is_not_whole_is_held_when_its_time_is_over(bench: Bench) -> None:
    async def truncated(_: PackFiles) -> str:
        return "truncated"

    bench.wholeness = truncated
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        assert (await bench.first("pack.quarantined")).reason == "truncated"


@pytest.mark.parametrize("trouble", [Permanent("unreadable"), Temporary("worker-crashed")], ids=lambda trouble: trouble.reason)
async def test_an_image_that_cannot_be_examined_is_held_with_the_reason(bench: Bench, trouble: Exception) -> None:
    async def fails(_: PackFiles) -> str:
        raise trouble

    bench.wholeness = fails
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        assert (await bench.first("pack.quarantined")).reason == trouble.args[0]


async def test_an_image_that_brings_down_its_worker_is_examined_once(bench: Bench) -> None:
    bench.tracker._settings = {"scanner": DropSettings(path=bench.root, **QUICK | {"incomplete_seconds": 60.0})}
    examined: list[PackFiles] = []

    async def hangs(files: PackFiles) -> str:
        examined.append(files)
        raise Temporary("worker-timeout")

    bench.wholeness = hangs
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        assert (await bench.first("pack.quarantined")).reason == "worker-timeout"
    assert len(examined) == 1


class SilentDrop:
    """A drop folder that does not answer once when it is asked whether it is there."""

    def __init__(self, drop: PosixDrop, how: str) -> None:
        self._drop = drop
        self._how = how
        self.silent = False
        self.go_on = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drop, name)

    def check_available(self) -> None:
        if self.silent:
            self.silent = False
            if self._how == "lost":
                raise Unavailable("drop:scanner", "stale-mount")
            self.go_on.wait(5)


@pytest.mark.parametrize(("how", "reason"), [("lost", "stale-mount"), ("hanging", "no-answer")])
async def test_what_fails_while_the_folder_does_not_answer_is_no_fault_of_the_image(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, how: str, reason: str
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    drop = SilentDrop(PosixDrop("scanner", bench.root), how)
    bench.tracker._drops = {"scanner": drop}  # type: ignore[dict-item]
    examined: list[PackFiles] = []

    async def hangs_once(files: PackFiles) -> str:
        examined.append(files)
        if len(examined) == 1:
            drop.silent = True
            raise Temporary("worker-timeout")
        return ""

    bench.wholeness = hangs_once
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        await bench.first("pack.settled")
    drop.go_on.set()
    assert [trouble.reason for trouble in bench.suspended] == [reason]


@pytest.mark.parametrize("trouble", [SourceChanged("source-changed"), Unavailable("drop:scanner", "unreachable")], ids=["changed", "away"])
async def test_an_examination_that_was_disturbed_is_repeated(bench: Bench, trouble: Exception) -> None:
    troubles = [trouble]

    async def fails_once(_: PackFiles) -> str:
        while troubles:
            raise troubles.pop()
        return ""

    bench.wholeness = fails_once
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        await bench.first("pack.settled")
    assert len(bench.suspended) == isinstance(trouble, Unavailable)


@pytest.mark.parametrize("trouble", [Refused("intake-index-damaged"), Unavailable("state", "intake-index")], ids=str)
async def test_an_index_that_cannot_be_written_delays_a_pack_and_ends_nothing(bench: Bench, trouble: Exception) -> None:
    remember, troubles = bench.known.remember, [trouble]

    async def fails_once(packs: Any) -> None:
        while troubles:
            raise troubles.pop()
        await remember(packs)

    bench.known.remember = fails_once  # type: ignore[method-assign]
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        await bench.first("pack.settled")
    assert not troubles


async def test_a_pack_that_changes_for_ever_is_reported_once_and_still_settles_in_the_end(bench: Bench) -> None:
    bench.tracker._settings = {"scanner": DropSettings(path=bench.root, **QUICK | {"settle_seconds": 0.3})}
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        for size in itertools.count():
            bench.write("a.svs", bytes(size))
            await asyncio.sleep(0.01)
            if bench.told:
                break
        assert bench.tracker.count("scanner") == (1, 1)
        await bench.first("pack.settled")
    assert [event.type for event in bench.told] == ["pack.stuck", "pack.settled"]
    assert bench.told[0].reason == "keeps-changing"


@pytest.mark.parametrize("jump", [-1e6, 1e6], ids=["back", "ahead"])
async def test_a_clock_that_jumps_neither_hastens_nor_delays_settling(bench: Bench, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    bench.tracker._settings = {"scanner": DropSettings(path=bench.root, **QUICK | {"settle_seconds": 0.3})}
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    jumped = time.time() + jump
    monkeypatch.setattr(time, "time", lambda: jumped)
    async with bench.running():
        settled = await bench.first("pack.settled")
    assert 0.3 <= settled.waited_seconds < 3.0


async def test_an_event_that_comes_too_late_does_not_end_the_tracking(bench: Bench) -> None:
    bench.refuses = True
    bench.write("a.svs")
    bench.write("b.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        await bench.first("pack.settled")
        bench.told.clear()
        bench.tracker.track(replace(bench.pack("b.svs", pack="c"), stem=RelativePath(b"b")), gated=False)
        await bench.first("pack.settled")


async def test_many_packs_are_followed_at_once(bench: Bench) -> None:
    for number in range(300):
        bench.write(f"{number}.svs")
        name = str(number)
        files = bench.pack(f"{name}.svs")
        bench.tracker.track(replace(files, pack=PackId(f"{number:016x}"), stem=RelativePath(name.encode())), gated=False)
    async with bench.running():

        async def all_settled() -> bool:
            return len(bench.told) == 300

        await eventually(all_settled)
    assert {event.type for event in bench.told} == {"pack.settled"}
    assert bench.tracker.count("scanner") == (0, 0)


class SlowDrop:
    """A drop folder whose first look takes until it is told to go on, as shares do."""

    def __init__(self, drop: PosixDrop) -> None:
        self._drop = drop
        self.looking, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drop, name)

    def see(self, path: RelativePath) -> Sighting | None:
        self.looking.set()
        self.go_on.wait(5)
        return self._drop.see(path)


async def test_a_member_that_joins_during_a_slow_look_does_not_end_the_tracking(bench: Bench) -> None:
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    slow = SlowDrop(PosixDrop("scanner", bench.root))
    bench.tracker._drops = {"scanner": slow}  # type: ignore[dict-item]
    async with bench.running():
        assert await asyncio.to_thread(slow.looking.wait, 5)
        bench.write("a.txt")
        bench.tracker.update(bench.pack("a.svs", "a.txt"))
        slow.go_on.set()
        assert (await bench.first("pack.settled")).files == 2


async def test_a_pack_that_changes_while_it_is_examined_is_examined_again(bench: Bench) -> None:
    examined: list[PackFiles] = []

    async def disturbed_once(files: PackFiles) -> str:
        examined.append(files)
        if len(examined) == 1:
            bench.write("a.svs", b"another slide, half of it")
            bench.tracker.update(bench.pack("a.svs"))
        return ""

    bench.wholeness = disturbed_once
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():
        await bench.first("pack.settled")
    assert examined[-1] == bench.pack("a.svs")


@pytest.mark.parametrize("name", ["a.svs", "a.txt"], ids=["settling", "holding"])
async def test_a_member_that_joins_while_the_index_is_written_is_not_left_behind(bench: Bench, name: str) -> None:
    both = {"a.svs", "a.txt"}
    remember = bench.known.remember

    async def disturbed_once(packs: Any) -> None:
        await remember(packs)
        for late in both - {name}:
            both.clear()
            bench.write(late)
            bench.tracker.update(bench.pack(name, late))

    bench.known.remember = disturbed_once  # type: ignore[method-assign]
    bench.write(name)
    bench.tracker.track(bench.pack(name), gated=False)
    async with bench.running():
        assert (await bench.first("pack.settled")).files == 2
    found = await bench.known.find(PackId("a" * 16))
    assert found is not None
    assert len(found.members) == 2
    assert [event.type for event in bench.told] == ["pack.settled"]


async def test_what_changes_while_it_waits_for_its_examination_is_quiet_before_it_settles(bench: Bench) -> None:
    bench.tracker._settings = {"scanner": DropSettings(path=bench.root, **QUICK | {"settle_seconds": 0.3})}
    bench.tracker._examining = asyncio.Semaphore(0)
    bench.write("a.svs")
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    async with bench.running():

        async def waiting() -> bool:
            return bench.tracker._examining._waiters is not None and bool(bench.tracker._examining._waiters)

        await eventually(waiting)
        bench.write("a.svs", b"another slide")
        bench.tracker.update(bench.pack("a.svs"))
        changed = asyncio.get_running_loop().time()
        bench.tracker._examining.release()
        bench.tracker._examining.release()
        await bench.first("pack.settled")
        assert asyncio.get_running_loop().time() - changed >= 0.3
    assert await bench.known.find(PackId("a" * 16)) == bench.pack("a.svs")


class PartlyUnreadableDrop:
    """A drop folder in which one file cannot be looked at, as in a folder without permission."""

    def __init__(self, drop: PosixDrop, unreadable: bytes, trouble: Exception) -> None:
        self._drop = drop
        self.unreadable = unreadable
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        return getattr(self._drop, name)

    def see(self, path: RelativePath) -> Sighting | None:
        if path.reveal() == self.unreadable:
            raise self._trouble
        return self._drop.see(path)


@pytest.mark.parametrize("trouble", [Permanent("unreadable"), Temporary("drop-error"), Unavailable("drop:scanner", "io-error")], ids=str)
async def test_a_pack_that_cannot_be_looked_at_is_reported_and_holds_no_other_back(bench: Bench, trouble: Exception) -> None:
    bench.write("a.svs")
    bench.write("b.svs")
    drop = PartlyUnreadableDrop(PosixDrop("scanner", bench.root), b"b.svs", trouble)
    bench.tracker._drops = {"scanner": drop}  # type: ignore[dict-item]
    bench.tracker.track(bench.pack("a.svs"), gated=False)
    bench.tracker.track(replace(bench.pack("b.svs", pack="c"), stem=RelativePath(b"b")), gated=False)
    async with bench.running():
        assert (await bench.first("pack.settled")).pack == "a" * 16
        stuck = await bench.first("pack.stuck")
        assert (stuck.pack, stuck.reason) == ("c" * 16, "unreadable")
        drop.unreadable = b""
        bench.told.clear()
        assert (await bench.first("pack.settled")).pack == "c" * 16
