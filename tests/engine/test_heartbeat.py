"""The pulse stops when the engine is stuck, so that a supervisor restarts it; a full disk is no reason to die."""

from __future__ import annotations

import asyncio
import time

import pytest

from engine.fakes import ManualClock, MemoryJournal
from slidekeeper.engine.heartbeat import LAG_PROBE_SECONDS, LagMeter, Pulse
from slidekeeper.errors import Refused, SlidekeeperError, Unavailable


class StuckLane:
    """A lane whose command has been running for a long time."""

    name = "anonymize"

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def oldest_seconds(self) -> float:
        return self._seconds


def make_pulse(journal: MemoryJournal, running_seconds: float) -> Pulse:
    async def beat() -> None:
        return None

    return Pulse(journal, [StuckLane(running_seconds)], beat, stuck_seconds=100)  # type: ignore[arg-type, list-item]


async def test_it_beats_while_the_journal_answers_and_lanes_move() -> None:
    assert await make_pulse(MemoryJournal(), 5).is_alive(0.1)


async def test_it_stops_when_a_lane_is_stuck() -> None:
    assert not await make_pulse(MemoryJournal(), 500).is_alive(0.1)


async def test_it_stops_when_the_journal_does_not_answer() -> None:
    assert not await make_pulse(MemoryJournal(silent=True), 5).is_alive(0.02)


async def test_a_full_disk_holds_lanes_up_but_is_not_death() -> None:
    assert await make_pulse(MemoryJournal(trouble="disk-full"), 500).is_alive(0.1)


class RealClock(ManualClock):
    """The machine's clock; tests say for how long the machine kept the processor from us."""

    kept_from_us = 0.0

    def monotonic(self) -> float:
        return time.monotonic()

    def starved(self) -> float:
        return self.kept_from_us


class StarvedClock(ManualClock):
    """A clock on which all time that passes is time in which the machine gave no processor."""

    def starve(self, seconds: float) -> None:
        self.seconds += seconds

    def starved(self) -> float:
        return self.seconds


@pytest.mark.parametrize("begins_after", [0.0, 0.01, 0.03, 0.049])
async def test_the_lag_meter_sees_what_blocks_the_loop_whenever_that_begins(begins_after: float) -> None:
    meter = LagMeter(RealClock())
    task = asyncio.create_task(meter.run())
    await asyncio.sleep(begins_after)
    time.sleep(0.06)
    await asyncio.sleep(0.02)
    task.cancel()
    assert meter.worst >= 0.05


async def test_only_starvation_that_came_when_the_probe_was_due_is_taken_off() -> None:
    clock = RealClock()
    meter = LagMeter(clock)
    task = asyncio.create_task(meter.run())
    await asyncio.sleep(0)
    clock.kept_from_us += LAG_PROBE_SECONDS
    time.sleep(0.06)
    await asyncio.sleep(0.02)
    task.cancel()
    assert meter.worst >= 0.054


async def test_a_machine_that_gives_no_processor_is_not_our_lag() -> None:
    clock = StarvedClock()
    meter = LagMeter(clock)
    task = asyncio.create_task(meter.run())
    await asyncio.sleep(0)
    clock.starve(LAG_PROBE_SECONDS + 0.2)
    while not meter.worst_starved:
        await asyncio.sleep(0.001)
    task.cancel()
    assert meter.worst == pytest.approx(0)
    assert meter.worst_starved >= 0.2


class FailingJournal(MemoryJournal):
    """Answers with an error so many times."""

    def __init__(self, error: SlidekeeperError, times: int) -> None:
        super().__init__()
        self.error = error
        self.left = times

    async def head(self) -> int:
        if self.left:
            self.left -= 1
            raise self.error
        return 0


async def test_a_failing_disk_neither_ends_the_pulse_nor_counts_as_death() -> None:
    journal = FailingJournal(Unavailable("state", "io-error"), times=3)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        beats += 1

    pulse = asyncio.create_task(Pulse(journal, [], beat, stuck_seconds=100).run(0.001))  # type: ignore[arg-type]
    while journal.left and not pulse.done():
        await asyncio.sleep(0.001)
    assert not pulse.done()
    assert beats >= 2
    pulse.cancel()


async def test_it_stops_while_the_journal_is_damaged_but_goes_on_asking() -> None:
    journal = FailingJournal(Refused("journal-damaged"), times=1)
    pulse = Pulse(journal, [], asyncio.Event().wait, stuck_seconds=100)  # type: ignore[arg-type]
    assert [await pulse.is_alive(0.1), await pulse.is_alive(0.1)] == [False, True]
