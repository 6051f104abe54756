"""Memory has room for some packs only; those that find none are not lost, and those that wait hold up nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.steps.intake import roll
from steps.intake.drop_site import DropSite, drop_site


@pytest.fixture
def room_for_five(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for five packs of each drop folder."""
    monkeypatch.setattr(roll, "FOLLOWED_AT_MOST", 5)


async def most_followed(site: DropSite, finished: asyncio.Task[Any]) -> int:
    """The greatest number of packs that were followed at once until something happened."""
    most = 0
    while not finished.done():
        most = max(most, site.intake.status()[0]["unsettled"])
        await asyncio.sleep(0.002)
    finished.result()
    return most


async def test_of_more_packs_than_memory_allows_all_settle_and_few_are_followed_at_once(site: DropSite, room_for_five: None) -> None:
    for number in range(40):
        site.drop(f"{number % 3}/{number}.svs")
    async with site.running():
        assert await most_followed(site, asyncio.create_task(site.wait_for("pack.settled", 40))) == 5
    assert len({event.pack for event in await site.events("pack.settled")}) == 40
    assert len(await site.events()) == 3 + 40 + 40


async def test_packs_that_wait_for_a_forgotten_notice_hold_up_nobody(noticed: DropSite, room_for_five: None) -> None:
    for number in range(12):
        noticed.drop(f"monday/{number}.svs")
    async with noticed.running():
        await noticed.wait_for("pack.arrived", 12)
        for number in range(12):
            noticed.drop(f"tuesday/{number}.svs")
        await noticed.intake.close_batch(noticed.root / "tuesday", "path-lab")
        assert await most_followed(noticed, asyncio.create_task(noticed.wait_for("pack.settled", 12))) == 5
        await noticed.intake.close_batch(noticed.root / "monday", "path-lab")
        await noticed.wait_for("pack.settled", 24)


async def test_members_join_a_pack_that_finds_no_room_and_its_image_names_it(tmp_path: Path, room_for_five: None) -> None:
    async with drop_site(tmp_path, ready="notice", pack="directory") as site:
        watcher = site.intake._watchers["scanner"]
        for number in range(6):
            site.drop(f"monday/{number}/label.txt")
        await watcher.look([])
        for number in range(6):
            site.drop(f"monday/{number}/S26-{number}.svs")
        await watcher.look([])
        arrived = await site.events("pack.arrived")
        found = [await site.known.find(event.pack) for event in arrived]
    assert sorted(files.barcode.reveal() for files in found if files) == [f"S26-{number}" for number in range(6)]
    assert all(files and len(files.members) == 2 for files in found)
