"""A notice closes the batch of a folder, with all that lies there; no second one does, and none for a folder that is no drop folder."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from slidekeeper.errors import Refused
from slidekeeper.messages.events import BatchClosed, Event
from slidekeeper.workflow.states import BatchState
from steps.intake.drop_site import DropSite


async def test_a_batch_waits_for_its_notice(noticed: DropSite) -> None:
    noticed.drop("monday/a.svs")
    noticed.drop("tuesday/b.svs")
    async with noticed.running():
        await noticed.wait_for("pack.arrived", 2)
        await asyncio.sleep(0.2)  # many times the quiet time: that nothing happens cannot be polled for
        assert await noticed.events("pack.settled") == []
        batch = await noticed.intake.close_batch(noticed.root / "monday", "path-lab")
        (settled,) = await noticed.wait_for("pack.settled")
    (closed,) = await noticed.events("batch.closed")
    row = await noticed.journal.pack(settled.pack)
    assert row is not None
    assert (closed.batch, closed.by, row.batch) == (batch, "path-lab", batch)
    assert len(await noticed.journal.batches([BatchState.OPEN])) == 1


async def test_a_notice_for_the_drop_folder_itself_closes_the_batch_of_files_in_its_root(noticed: DropSite) -> None:
    noticed.drop("a.svs")
    async with noticed.running():
        await noticed.wait_for("pack.arrived")
        await noticed.intake.close_batch(noticed.root, "path-lab")
        await noticed.wait_for("pack.settled")


async def test_a_notice_covers_files_that_no_scan_has_seen_yet(noticed: DropSite) -> None:
    noticed.drop("monday/a.svs")
    batch = await noticed.intake.close_batch(noticed.root / "monday" / "deeper", "path-lab")
    (arrived,) = await noticed.events("pack.arrived")
    assert arrived.batch == batch


async def test_a_slow_share_does_not_hold_the_loop_while_a_notice_is_taken(noticed: DropSite, monkeypatch: pytest.MonkeyPatch) -> None:
    noticed.drop("monday/a.svs")
    resolve, resolved_in = Path.resolve, set()

    def slow(path: Path, strict: bool = False) -> Path:
        resolved_in.add(threading.current_thread())
        return resolve(path, strict)

    monkeypatch.setattr(Path, "resolve", slow)
    await noticed.intake.close_batch(noticed.root / "monday", "path-lab")
    assert resolved_in
    assert threading.main_thread() not in resolved_in


async def test_a_second_notice_is_refused(noticed: DropSite) -> None:
    noticed.drop("monday/a.svs")
    await noticed.intake.close_batch(noticed.root / "monday", "path-lab")
    with pytest.raises(Refused, match="no-open-batch"):
        await noticed.intake.close_batch(noticed.root / "monday", "path-lab")


async def test_of_two_notices_at_once_one_is_refused(noticed: DropSite) -> None:
    noticed.drop("monday/a.svs")

    async def slow_disk(event: Event) -> None:
        await asyncio.sleep(0.1 if event.type == "batch.closed" else 0)

    noticed.before_report = slow_disk
    notices = [noticed.intake.close_batch(noticed.root / "monday", name) for name in ("anna", "ben")]
    outcomes = await asyncio.gather(*notices, return_exceptions=True)
    assert [type(outcome) for outcome in sorted(outcomes, key=lambda outcome: isinstance(outcome, Exception))] == [str, Refused]


async def test_a_batch_that_only_the_index_takes_for_open_is_refused_and_ended(noticed: DropSite) -> None:
    noticed.drop("monday/a.svs")
    async with noticed.running():
        (arrived,) = await noticed.wait_for("pack.arrived")
        await noticed.journal.commit(BatchClosed(batch=arrived.batch, by="path-lab"))
        with pytest.raises(Refused, match="no-open-batch"):
            await noticed.intake.close_batch(noticed.root / "monday", "path-lab")
        assert await noticed.known.open_batches() == []
        await noticed.wait_for("pack.settled")


async def test_a_pack_that_comes_behind_the_notice_opens_another_batch(noticed: DropSite) -> None:
    noticed.drop("monday/a.svs")
    first = await noticed.intake.close_batch(noticed.root / "monday", "path-lab")
    noticed.drop("monday/b.svs")
    second = await noticed.intake.close_batch(noticed.root / "monday", "path-lab")
    assert first != second
    assert [event.batch for event in await noticed.events("batch.opened")] == [first, second]


async def test_a_notice_for_a_folder_outside_is_refused(noticed: DropSite, tmp_path: Path) -> None:
    (tmp_path / "drop-of-others").mkdir()
    for folder in (tmp_path, tmp_path / "drop-of-others"):
        with pytest.raises(Refused, match="no-drop-folder"):
            await noticed.intake.close_batch(folder, "path-lab")
