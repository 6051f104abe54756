"""What hangs is asked once, and holds up nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from slidekeeper.engine.disks import Disks, Usage, measured
from slidekeeper.engine.patience import PatientQuestion
from slidekeeper.engine.places import Places
from slidekeeper.errors import Temporary, Unavailable
from slidekeeper.messages.events import PlaceResumed, PlaceSuspended
from slidekeeper.workflow.retry import Suspend


class DeadServer:
    """A call on it hangs until it comes back."""

    def __init__(self) -> None:
        self.calls = self.answered = 0
        self.back = threading.Event()

    def call(self) -> str:
        self.calls += 1
        self.back.wait(20)
        self.answered += 1
        return "here"


@pytest.fixture
def server() -> Iterator[DeadServer]:
    server = DeadServer()
    yield server
    server.back.set()


async def test_a_question_that_hangs_is_asked_once_and_its_late_answer_counts(server: DeadServer) -> None:
    question = PatientQuestion(server.call)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await question.ask(0.01)
    assert server.calls == 1
    server.back.set()
    assert [await question.ask(5), await question.ask(5)] == ["here", "here"]
    assert server.calls == 2


async def test_an_error_is_an_answer() -> None:
    def refuse() -> None:
        raise Unavailable("bucket", "disk-full")

    with pytest.raises(Unavailable, match="disk-full"):
        await PatientQuestion(refuse).ask(5)


async def test_a_fault_is_told_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: logged.set())
    with pytest.raises(Temporary, match="no-answer"):
        await PatientQuestion(lambda: 1 // 0).ask(5)
    assert await asyncio.to_thread(logged.wait, 5)


async def test_a_place_that_hangs_does_not_keep_others_suspended(server: DeadServer) -> None:
    told: list[PlaceSuspended | PlaceResumed] = []

    async def report(event: PlaceSuspended | PlaceResumed) -> None:
        told.append(event)

    places = Places({"drop:hung": server.call, "bucket": lambda: None}, report, 0.02)  # type: ignore[dict-item]
    running = asyncio.create_task(places.run())
    for place in ("drop:hung", "bucket"):
        await places.suspend(Suspend(place, "unreachable", ""))
    async with asyncio.timeout(15):
        await places.usable("bucket")
        assert set(places.suspended) == {"drop:hung"}
        await asyncio.sleep(0.2)
        assert server.calls == 1
        server.back.set()
        await places.usable("drop:hung")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert [event.place for event in told] == ["drop:hung", "bucket", "bucket", "drop:hung"]


async def test_disks_are_told_as_they_were_when_they_still_answered(tmp_path: Path) -> None:
    server = DeadServer()
    server.back.set()

    def measure(folder: Path) -> Usage:
        if folder.name == "share":
            server.call()
        return {"total": server.calls, "free": 0}

    disks = Disks({"state": tmp_path, "bucket": tmp_path / "share"}, measure)
    assert (await disks.usage())["bucket"] == {"total": 1, "free": 0}
    server.back.clear()
    for _ in range(2):
        assert (await disks.usage())["bucket"] == {"total": 1, "free": 0}
    assert (server.calls, server.answered) == (2, 1)
    server.back.set()


async def test_only_disks_that_are_there_are_told(tmp_path: Path) -> None:
    usage = await Disks({"state": tmp_path, "gone": tmp_path / "absent"}).usage()
    assert usage == {"state": {"total": measured(tmp_path)["total"], "free": usage["state"]["free"]}}
