"""Unsettled packs are looked at when they are due, and never settle on what was seen before their last change."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from typing import Any

import pytest

from slidekeeper.errors import Refused, Unavailable
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import RelativePath
from slidekeeper.settings.sections import DropSettings
from steps.intake.drop_site import QUICK, eventually
from steps.intake.tracker_bench import BATCH, Bench


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
    async with bench.running(), asyncio.timeout(30):
        for _ in range(50):
            bench.told.clear()
            bench.tracker.track(bench.pack("a.svs"), gated=False)
            await bench.first("pack.settled")
            if bench.told[0].type == "pack.stuck":
                break
    assert [(event.type, getattr(event, "reason", "")) for event in bench.told] == [("pack.stuck", "keeps-changing"), ("pack.settled", "")]


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
    bench.tracker._settings = {"scanner": DropSettings(path=bench.root, **QUICK | {"settle_seconds": 1.0})}
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
    assert 0.3 <= settled.waited_seconds < 60.0


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
