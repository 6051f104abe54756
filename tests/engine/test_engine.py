"""The engine: commands are carried out once, failures are treated by rule, places pause and resume, stopping is orderly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.fakes import ManualClock, MemoryJournal
from slidekeeper.engine.engine import Engine
from slidekeeper.engine.lane import LaneSpec, Step
from slidekeeper.errors import Permanent, Temporary, Unavailable, UndefinedTransition
from slidekeeper.messages.commands import AnonymizePack, SettlePack
from slidekeeper.messages.events import PackArrived, PackChanged, PackQuarantined, PackSettled
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.ports.journal import Pending, Recorded
from slidekeeper.workflow.retry import RetryPolicy
from slidekeeper.workflow.states import PackState

QUICK = RetryPolicy(attempts=3, first_delay=0.001, factor=2.0, longest_delay=0.01)
BATCH = BatchId("0123456789ab")


async def settle_at_once(command: SettlePack) -> PackSettled:
    """A settle step that finds every pack quiet."""
    return PackSettled(pack=command.pack, files=1, size=1, waited_seconds=0.0)


def make_engine(
    journal: MemoryJournal,
    anonymize: Step,
    *,
    width: int = 2,
    probes: Mapping[str, Callable[[], None]] | None = None,
    settle: Step = settle_at_once,
) -> Engine:
    lanes = [LaneSpec("settle", settle), LaneSpec("anonymize", anonymize, width, ("bucket",))]
    return Engine(journal, lanes, probes or {}, ManualClock(), QUICK, probe_seconds=0.005)  # type: ignore[arg-type]


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(engine.run())
    try:
        yield task
    finally:
        engine.stop()
        async with asyncio.timeout(30):
            await task


async def arrive(engine: Engine, count: int = 1) -> Sequence[PackId]:
    packs = [PackId(f"{number:016x}") for number in range(count)]
    for pack in packs:
        await engine.submit(PackArrived(pack=pack, drop="scanner", batch=BATCH))
    return packs


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)


def quarantine(command: AnonymizePack) -> PackQuarantined:
    return PackQuarantined(pack=command.pack, step="anonymize", reason="test")


async def test_every_command_is_carried_out_exactly_once() -> None:
    journal, seen = MemoryJournal(), []

    async def step(command: AnonymizePack) -> PackQuarantined:
        seen.append(command.pack)
        return quarantine(command)

    engine = make_engine(journal, step)
    async with running(engine):
        packs = await arrive(engine, 100)
        await eventually(lambda: all(state is PackState.QUARANTINED for state in journal.states().values()))
    assert sorted(seen) == sorted(packs)


async def test_a_lane_is_never_wider_than_it_may_be() -> None:
    journal = MemoryJournal()
    under_way = widest = 0

    async def step(command: AnonymizePack) -> PackQuarantined:
        nonlocal under_way, widest
        under_way += 1
        widest = max(widest, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return quarantine(command)

    engine = make_engine(journal, step, width=3)
    async with running(engine):
        await arrive(engine, 30)
        await eventually(lambda: set(journal.states().values()) == {PackState.QUARANTINED})
    assert widest == 3


async def test_what_was_pending_before_the_start_is_carried_out() -> None:
    journal = MemoryJournal()

    async def step(command: AnonymizePack) -> PackQuarantined:
        return quarantine(command)

    engine = make_engine(journal, step)
    await arrive(engine, 5)
    async with running(engine):
        await eventually(lambda: set(journal.states().values()) == {PackState.QUARANTINED})


async def test_a_temporary_failure_is_tried_again_and_journaled() -> None:
    journal, failures = MemoryJournal(), iter([True, True, False])

    async def step(command: AnonymizePack) -> PackQuarantined:
        if next(failures):
            raise Temporary("flaky-share", "EIO")
        return quarantine(command)

    engine = make_engine(journal, step)
    async with running(engine):
        await arrive(engine)
        await eventually(lambda: "pack.quarantined" in journal.types())
    assert journal.types() == ["pack.arrived", "pack.settled", "step.failed", "step.failed", "pack.quarantined"]


async def test_a_failure_that_stays_is_quarantined_when_attempts_are_used_up() -> None:
    journal = MemoryJournal()

    async def step(command: AnonymizePack) -> None:
        raise Temporary("flaky-share", "EIO")

    engine = make_engine(journal, step)
    async with running(engine):
        await arrive(engine)
        await eventually(lambda: "pack.quarantined" in journal.types())
    event = journal.recorded[-1].event
    assert isinstance(event, PackQuarantined)
    assert (event.step, event.reason) == ("anonymize", "flaky-share")
    assert journal.types().count("step.failed") == QUICK.attempts - 1


async def test_a_permanent_failure_is_quarantined_at_once() -> None:
    journal = MemoryJournal()

    async def step(command: AnonymizePack) -> None:
        raise Permanent("truncated", "offsets past the end")

    engine = make_engine(journal, step)
    async with running(engine):
        await arrive(engine)
        await eventually(lambda: "pack.quarantined" in journal.types())
    assert "step.failed" not in journal.types()


async def test_a_fault_in_a_step_quarantines_its_pack_without_the_foreign_text() -> None:
    journal = MemoryJournal()

    async def step(command: AnonymizePack) -> None:
        raise KeyError("/drop/S26-1234.svs")

    engine = make_engine(journal, step)
    async with running(engine):
        await arrive(engine)
        await eventually(lambda: "pack.quarantined" in journal.types())
    assert not [record for record in journal.recorded if "S26" in record.event.model_dump_json()]


async def test_an_unavailable_place_pauses_without_counting_attempts_and_resumes() -> None:
    journal = MemoryJournal()
    full = True

    def probe() -> None:
        if full:
            raise Unavailable("bucket", "disk-full")

    async def step(command: AnonymizePack) -> PackQuarantined:
        if full:
            raise Unavailable("bucket", "disk-full")
        return quarantine(command)

    engine = make_engine(journal, step, probes={"bucket": probe})
    async with running(engine):
        await arrive(engine, 20)
        await eventually(lambda: engine.places.suspended == {"bucket": "disk-full"})
        await asyncio.sleep(0.03)
        assert PackState.QUARANTINED not in journal.states().values()
        full = False
        await eventually(lambda: set(journal.states().values()) == {PackState.QUARANTINED})
    assert journal.types().count("place.suspended") == 1
    assert journal.types().count("place.resumed") == 1
    assert "step.failed" not in journal.types()


async def test_a_pack_that_changed_goes_through_settling_again() -> None:
    journal, outcomes = MemoryJournal(), iter([PackChanged, None])

    async def step(command: AnonymizePack) -> Any:
        changed = next(outcomes)
        return changed(pack=command.pack) if changed else quarantine(command)

    engine = make_engine(journal, step)
    async with running(engine):
        await arrive(engine)
        await eventually(lambda: "pack.quarantined" in journal.types())
    assert journal.types() == ["pack.arrived", "pack.settled", "pack.changed", "pack.settled", "pack.quarantined"]


async def test_stopping_waits_for_what_is_under_way_and_starts_nothing_new() -> None:
    journal, started = MemoryJournal(), []
    go_on = asyncio.Event()

    async def step(command: AnonymizePack) -> PackQuarantined:
        started.append(command.pack)
        await go_on.wait()
        return quarantine(command)

    engine = make_engine(journal, step, width=1)
    task = asyncio.create_task(engine.run())
    await arrive(engine, 3)
    await eventually(lambda: len(started) == 1)
    engine.stop()
    await asyncio.sleep(0.01)
    assert not task.done()
    go_on.set()
    async with asyncio.timeout(30):
        await task
    assert len(started) == 1
    assert list(journal.states().values()).count(PackState.QUARANTINED) == 1


async def test_stopping_does_not_wait_for_a_suspended_place() -> None:
    journal = MemoryJournal()

    def probe() -> None:
        raise Unavailable("bucket", "disk-full")

    async def step(command: AnonymizePack) -> None:
        raise Unavailable("bucket", "disk-full")

    engine = make_engine(journal, step, probes={"bucket": probe})
    task = asyncio.create_task(engine.run())
    await arrive(engine, 3)
    await eventually(lambda: bool(engine.places.suspended))
    engine.stop()
    done, _ = await asyncio.wait({task}, timeout=30)
    assert done, "the engine stops although its bucket is full"


@pytest.mark.parametrize("times", [2])
async def test_an_event_that_comes_too_late_is_dropped_not_fatal(times: int) -> None:
    journal = MemoryJournal()

    async def step(command: AnonymizePack) -> PackQuarantined:
        for _ in range(times):
            await journal.commit(quarantine(command)) if journal.rows[command.pack].state is PackState.SETTLED else None
        return quarantine(command)

    engine = make_engine(journal, step)
    async with running(engine):
        await arrive(engine, 2)
        await eventually(lambda: set(journal.states().values()) == {PackState.QUARANTINED})
    assert journal.types().count("pack.quarantined") == 2


async def test_a_journal_that_cannot_be_read_for_a_while_ends_no_lane() -> None:
    class Flaky(MemoryJournal):
        readable = False

        async def pending(self, lane: str, after: int, limit: int) -> Sequence[Pending]:
            if not self.readable:
                raise Unavailable("state", "io-error")
            return await super().pending(lane, after, limit)

    journal = Flaky()

    async def step(command: AnonymizePack) -> PackQuarantined:
        return quarantine(command)

    def probe() -> None:
        if not journal.readable:
            raise Unavailable("state", "io-error")

    engine = make_engine(journal, step, probes={"state": probe})
    async with running(engine):
        [pack] = await arrive(engine)
        await eventually(lambda: "place.suspended" in journal.types())
        journal.readable = True
        await eventually(lambda: journal.states()[pack] is PackState.QUARANTINED)


async def test_what_is_stored_is_tried_for_ever_and_never_quarantined() -> None:
    tries: list[PackId] = []

    async def settle(command: SettlePack) -> PackSettled:
        tries.append(command.pack)
        if len(tries) < 8:
            raise Temporary("flaky")
        return await settle_at_once(command)

    async def step(command: AnonymizePack) -> PackQuarantined:
        return quarantine(command)

    class Unholdable(MemoryJournal):
        async def commit(self, event: Any) -> Recorded:
            if isinstance(event, PackQuarantined) and event.step == "settle":
                raise UndefinedTransition("undefined-transition", "as for a stored pack")
            return await super().commit(event)

    journal = Unholdable()
    engine = make_engine(journal, step, settle=settle)
    async with running(engine):
        [pack] = await arrive(engine)
        await eventually(lambda: journal.states()[pack] is PackState.QUARANTINED)
    assert len(tries) == 8
