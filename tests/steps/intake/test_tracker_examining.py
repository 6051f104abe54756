"""An image is examined before its pack settles: its faults are told, those of the folder or of the moment are not taken for its own."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.errors import Permanent, SourceChanged, Temporary, Unavailable
from slidekeeper.model.identity import PackId
from slidekeeper.model.phi import PackFiles
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake import tracker as module
from steps.intake.drop_site import QUICK, eventually
from steps.intake.tracker_bench import Bench


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
            self.go_on.wait(30)


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
