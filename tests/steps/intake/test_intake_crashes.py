"""What a crash kept from the journal is told at the next start, once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from slidekeeper.messages.events import BatchClosed, Event, PackQuarantined
from slidekeeper.model.phi import RelativePath
from steps.intake.drop_site import DropSite, drop_site


async def crash_at(site: DropSite, type_: str) -> None:
    """Run until the daemon dies just before an event of this type is committed."""
    died = asyncio.Event()

    async def die(event: Event) -> None:
        if event.type == type_:
            died.set()
            await asyncio.Event().wait()

    site.before_report = die
    async with site.running(), asyncio.timeout(30):
        await died.wait()


@pytest.mark.parametrize("event", ["batch.opened", "pack.arrived", "pack.settled"])
async def test_what_a_crash_kept_from_the_journal_is_told_at_the_next_start(tmp_path: Path, event: str) -> None:
    async with drop_site(tmp_path) as site:
        site.drop("monday/a.svs")
        await crash_at(site, event)
    async with drop_site(tmp_path) as site:
        async with site.running():
            await site.wait_for("pack.settled")
        assert [found.type for found in await site.events()] == ["batch.opened", "pack.arrived", "pack.settled"]
        assert await site.known.unannounced() == []


async def test_a_batch_that_was_closed_just_before_a_crash_stays_closed(tmp_path: Path) -> None:
    async with drop_site(tmp_path, ready="notice") as site:
        site.drop("monday/a.svs")
        async with site.running():
            (arrived,) = await site.wait_for("pack.arrived")
        await site.journal.commit(BatchClosed(batch=arrived.batch, by="path-lab"))
    async with drop_site(tmp_path, ready="notice") as site:
        async with site.running():
            await site.wait_for("pack.settled")
        assert await site.known.open_batches() == []


async def test_a_rescan_that_came_while_its_pack_was_under_way_is_found_after_a_crash(tmp_path: Path) -> None:
    async with drop_site(tmp_path) as site:
        site.drop("monday/a.svs", b"first")
        os.utime(site.root / "monday", (1, 1))
        async with site.running():
            (first,) = await site.wait_for("pack.settled")
        site.drop("monday/a.svs", b"rescan")  # in place: the folder's time stays
        await site.intake._watchers["scanner"].look([RelativePath(b"monday/a.svs")])
    async with drop_site(tmp_path) as site:
        await site.journal.commit(PackQuarantined(pack=first.pack, step="anonymize", reason="truncated"))
        async with site.running():
            await site.wait_for("pack.settled", 2)
