"""The pulse stops when the engine is stuck, so that a supervisor restarts it; a full disk is no reason to die."""

from __future__ import annotations

import asyncio
import time

from engine.fakes import ManualClock, MemoryJournal
from slidekeeper.engine.heartbeat import LagMeter, Pulse


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


async def test_the_lag_meter_sees_what_blocks_the_loop() -> None:
    class RealClock(ManualClock):
        def monotonic(self) -> float:
            return time.monotonic()

    meter = LagMeter(RealClock())
    task = asyncio.create_task(meter.run())
    await asyncio.sleep(0.01)
    time.sleep(0.12)
    await asyncio.sleep(0.02)
    task.cancel()
    assert meter.worst >= 0.05
