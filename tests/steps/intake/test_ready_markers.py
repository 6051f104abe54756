"""A READY marker closes the batch of its folder: once, behind everything that lies there, and whatever happens in between."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.errors import Unavailable
from slidekeeper.messages.events import Event
from slidekeeper.model.phi import RelativePath
from slidekeeper.ports.drop import Portion, Scan
from steps.intake.drop_site import DropSite, drop_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DropSite]:
    """A site whose batches are closed by markers."""
    async with drop_site(tmp_path, ready="marker") as site:
        yield site


async def test_packs_wait_for_the_marker_of_their_folder(site: DropSite) -> None:
    site.drop("monday/a.svs")
    async with site.running():
        (arrived,) = await site.wait_for("pack.arrived")
        assert await site.events("pack.settled") == []
        site.drop("monday/READY", b"")
        await site.wait_for("pack.settled")
    (closed,) = await site.events("batch.closed")
    assert (closed.batch, closed.by) == (arrived.batch, "marker")


async def test_a_marker_that_came_first_closes_the_batch_of_what_lies_beside_it(site: DropSite) -> None:
    site.drop("monday/READY", b"")
    site.drop("monday/a.svs")
    site.drop("tuesday/b.svs")
    async with site.running():
        await site.wait_for("pack.settled")
    closed, opened = await site.events("batch.closed"), await site.events("batch.opened")
    assert (len(closed), len(opened)) == (1, 2)


async def test_a_marker_in_a_sub_folder_closes_its_sessions_batch(site: DropSite) -> None:
    site.drop("monday/a.svs")
    site.drop("monday/deep/READY", b"")
    async with site.running():
        await site.wait_for("batch.closed")


async def test_a_marker_speaks_once_and_touched_again_once_more(site: DropSite) -> None:
    site.drop("monday/a.svs")
    site.drop("monday/READY", b"")
    async with site.running():
        await site.wait_for("pack.settled")
        site.drop("monday/b.svs")
        await site.wait_for("pack.arrived", 2)
        assert len(await site.events("batch.closed")) == 1
        site.drop("monday/READY", b"")
        await site.wait_for("pack.settled", 2)
    first, second = await site.events("batch.closed")
    assert first.batch != second.batch


async def test_a_marker_is_no_pack(site: DropSite) -> None:
    site.drop("monday/READY", b"")
    site.drop("monday/a.svs")
    async with site.running():
        await site.wait_for("pack.settled")
    assert len(await site.events("pack.arrived")) == 1


async def test_a_symlink_of_that_name_is_no_marker_and_is_held(site: DropSite) -> None:
    site.drop("monday/a.svs")
    (site.root / "monday" / "READY").symlink_to(site.root)
    async with site.running():
        (held,) = await site.wait_for("pack.quarantined")
        site.drop("tuesday/b.svs")
        await site.wait_for("pack.arrived", 3)
    assert held.reason == "not-a-regular-file"
    assert await site.events("batch.closed") == []


async def test_what_lies_beside_a_marker_belongs_to_its_batch_even_if_only_the_marker_is_hinted(site: DropSite) -> None:
    site.drop("monday/a.svs")
    site.drop("monday/deep/b.svs")
    site.drop("monday/READY", b"")
    await site.intake._watchers["scanner"].look([RelativePath(b"monday/READY")])
    (closed,) = await site.events("batch.closed")
    assert [event.batch for event in await site.events("pack.arrived")] == [closed.batch] * 2


async def test_a_hinted_marker_in_the_root_covers_what_lies_beside_it(site: DropSite) -> None:
    site.drop("a.svs")
    site.drop("READY", b"")
    await site.intake._watchers["scanner"].look([RelativePath(b"READY")])
    (closed,) = await site.events("batch.closed")
    assert [event.batch for event in await site.events("pack.arrived")] == [closed.batch]


async def test_a_file_that_a_listing_missed_belongs_to_the_batch_that_its_later_marker_closes(site: DropSite) -> None:
    site.drop("monday/READY", b"")
    site.drop("monday/a.svs")
    site.drops["scanner"] = replace(site.drops["scanner"], scan=ShortSightedScan(site.drops["scanner"].scan))
    site.intake = site.new_intake()
    await site.intake._watchers["scanner"].look([])
    (closed,) = await site.events("batch.closed")
    assert [event.batch for event in await site.events("pack.arrived")] == [closed.batch]


async def test_a_marker_that_was_seen_just_before_a_crash_still_closes_its_batch(tmp_path: Path) -> None:
    async with drop_site(tmp_path, ready="marker") as site:
        site.drop("monday/a.svs")
        site.drop("monday/READY", b"")
        died = asyncio.Event()

        async def die(event: Event) -> None:
            if event.type == "batch.closed":
                died.set()
                await asyncio.Event().wait()

        site.before_report = die
        async with site.running(), asyncio.timeout(30):
            await died.wait()
    async with drop_site(tmp_path, ready="marker") as site, site.running(), asyncio.timeout(30):
        await site.wait_for("batch.closed")


class HalfwayScan:
    """A scan of two portions that waits between them."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self.halfway, self.go_on = threading.Event(), threading.Event()

    @property
    def directories(self) -> int:
        return self._scan.directories

    @property
    def unreadable(self) -> int:
        return self._scan.unreadable

    def look(self, paths: Any) -> Iterator[Portion]:
        yield from self._scan.look(paths)

    def everything(self) -> Iterator[Portion]:
        for portion in self._scan.everything():
            sightings = sorted(portion.sightings, key=lambda sighting: sighting.path.reveal())
            yield Portion(sightings[:2], ())
            self.halfway.set()
            self.go_on.wait(30)
            yield Portion(sightings[2:], portion.listed)


class ShortSightedScan(HalfwayScan):
    """A listing that runs beside the scanner may show the newest file, and miss an older one."""

    def everything(self) -> Iterator[Portion]:
        for portion in self._scan.everything():
            markers = [sighting for sighting in portion.sightings if sighting.path.reveal().endswith(b"READY")]
            yield Portion(markers, portion.listed)


async def test_another_drop_folders_scan_does_not_close_a_batch_that_is_half_seen(site: DropSite, tmp_path: Path) -> None:
    for name in ("READY", "a.svs", "b.svs"):
        site.drop(name)
    scan = HalfwayScan(site.drops["scanner"].scan)
    site.drops["scanner"] = replace(site.drops["scanner"], scan=scan)
    other = site.watch_folder("other", tmp_path / "other")
    (tmp_path / "other" / "c.svs").write_bytes(b"pixels")
    site.drops["other"] = other
    site.intake = site.new_intake()
    async with site.running():
        assert await asyncio.to_thread(scan.halfway.wait, 5)
        await site.wait_for("pack.arrived", 2)
        await asyncio.sleep(0.1)  # that nothing is closed cannot be polled for
        scan.go_on.set()
        arrived = await site.wait_for("pack.arrived", 3)
    mine = {event.batch for event in arrived if event.drop == "scanner"}
    assert len(mine) == 1


async def test_a_notice_beside_a_scan_waits_until_all_of_its_batch_is_seen(site: DropSite) -> None:
    for name in ("a.svs", "b.svs", "c.svs"):
        site.drop(name)
    scan = HalfwayScan(site.drops["scanner"].scan)
    site.drops["scanner"] = replace(site.drops["scanner"], scan=scan)
    site.intake = site.new_intake()
    async with site.running():
        assert await asyncio.to_thread(scan.halfway.wait, 5)
        await site.wait_for("pack.arrived", 2)
        notice = asyncio.create_task(site.intake.close_batch(site.root, "path-lab"))
        await asyncio.sleep(0.1)  # that nothing is closed cannot be polled for
        assert await site.events("batch.closed") == []
        scan.go_on.set()
        batch = await notice
        await site.wait_for("pack.settled", 3)
    assert {event.batch for event in await site.events("pack.arrived")} == {batch}


class TornScan(HalfwayScan):
    """A scan of the whole tree that breaks off the first time."""

    def everything(self) -> Iterator[Portion]:
        portions = super().everything()
        yield next(portions)
        if not self.go_on.is_set():
            self.go_on.set()
            raise Unavailable("drop:scanner", "unreachable")
        yield from portions


async def test_a_marker_is_heard_only_behind_a_scan_that_saw_all(site: DropSite) -> None:
    for name in ("READY", "a.svs", "b.svs"):
        site.drop(name)
    site.drop("tuesday/c.svs")
    scan = TornScan(site.drops["scanner"].scan)
    site.drops["scanner"] = replace(site.drops["scanner"], scan=scan)
    site.intake = site.new_intake()
    watcher = site.intake._watchers["scanner"]
    with pytest.raises(Unavailable):
        await watcher.look([])
    await site.intake.close_batch(site.root / "tuesday", "path-lab")
    assert [event.by for event in await site.events("batch.closed")] == ["path-lab"]
    await watcher.look([])
    assert [event.by for event in await site.events("batch.closed")] == ["path-lab", "marker"]
    arrived = await site.events("pack.arrived")
    assert len({event.batch for event in arrived}) == 2


async def test_a_folder_counts_as_listed_only_when_its_marker_is_heard(site: DropSite) -> None:
    site.drop("monday/a.svs")
    site.drop("monday/READY", b"")
    listed: list[bytes] = []
    heard: list[list[bytes]] = []
    note = site.known.listed

    async def noted(drop: str, listings: Any) -> None:
        listed.extend(listing.directory for listing in listings)
        await note(drop, listings)

    async def told(event: Event) -> None:
        if event.type == "batch.closed":
            heard.append(list(listed))

    site.known.listed = noted  # type: ignore[method-assign]
    site.before_report = told
    await site.intake._watchers["scanner"].look([RelativePath(b"monday")])
    assert (heard, listed) == ([[]], [b"monday"])
