"""What scanners leave becomes packs and batches; nothing is lost to late files, notices, crashes or folders that go away."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.drop.hints import InotifyHints
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.messages.commands import SettlePack
from slidekeeper.messages.events import BatchClosed, Event, PackArrived, PackDiscarded, PackQuarantined
from slidekeeper.model.identity import PackId
from slidekeeper.model.phi import PackFiles, RelativePath, Role
from slidekeeper.steps.intake import roll, tracker, watcher
from slidekeeper.workflow.states import BatchState, PackState
from steps.intake.drop_site import DropSite, drop_site, eventually


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "UNAVAILABLE_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(watcher, "AWAY_PAUSE_SECONDS", 0.02)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DropSite]:
    """A site whose packs settle when they are quiet."""
    async with drop_site(tmp_path) as site:
        yield site


@pytest.fixture
async def noticed(tmp_path: Path) -> AsyncIterator[DropSite]:
    """A site whose packs wait for a notice."""
    async with drop_site(tmp_path, ready="notice") as site:
        yield site


async def states(site: DropSite) -> dict[PackState, int]:
    return {state: count for state, count in (await site.journal.counts()).items() if count}


async def test_a_pack_arrives_in_a_batch_and_settles(site: DropSite) -> None:
    site.drop("monday/a.svs", b"12345")
    site.drop("monday/a_thumb.jpg", b"123")
    async with site.running():
        (settled,) = await site.wait_for("pack.settled")
    opened, arrived, _ = await site.events()
    assert (opened.type, opened.drop, arrived.type) == ("batch.opened", "scanner", "pack.arrived")
    assert arrived.batch == opened.batch
    assert (settled.pack, settled.files, settled.size) == (arrived.pack, 2, 8)
    assert settled.waited_seconds >= 0.05


async def test_packs_of_one_session_share_a_batch_and_other_sessions_have_their_own(site: DropSite) -> None:
    for path in ("monday/a.svs", "monday/deep/b.svs", "tuesday/c.svs", "d.svs"):
        site.drop(path)
    async with site.running():
        arrived = await site.wait_for("pack.arrived", 4)
    assert sorted(sum(event.batch == batch for event in arrived) for batch in {event.batch for event in arrived}) == [1, 1, 2]


async def test_a_file_that_comes_while_its_pack_is_unsettled_joins_it(site: DropSite) -> None:
    site.drop("a.txt")
    async with site.running():
        await site.wait_for("pack.arrived")
        site.drop("a.svs")
        (settled,) = await site.wait_for("pack.settled")
        files = await site.known.find(settled.pack)
    assert settled.files == 2
    assert files is not None
    assert {member.role for member in files.members} == {Role.IMAGE, Role.BARCODE}
    assert len(await site.events("pack.arrived")) == 1


async def test_a_note_that_comes_behind_a_settled_pack_is_no_pack_of_its_own(site: DropSite) -> None:
    site.drop("a.svs")
    async with site.running():
        (settled,) = await site.wait_for("pack.settled")
        site.drop("a.xml")

        async def joined() -> bool:
            found = await site.known.find(settled.pack)
            return found is not None and len(found.members) == 2

        await eventually(joined)
    assert len(await site.events("pack.arrived")) == 1


async def test_a_file_that_is_still_written_does_not_settle(site: DropSite) -> None:
    with site.drop("a.svs").open("ab") as stream:
        async with site.running():
            await site.wait_for("pack.stuck")
            assert await states(site) == {PackState.ARRIVED: 1}
            stream.close()
            await site.wait_for("pack.settled")
    assert [event.reason for event in await site.events("pack.stuck")] == ["being-written"]


async def test_a_pack_without_an_image_is_held_when_its_time_is_over(site: DropSite) -> None:
    site.drop("a.txt")
    async with site.running():
        (held,) = await site.wait_for("pack.quarantined")
    assert (held.step, held.reason) == ("intake", "incomplete-pack")


async def test_a_name_that_is_no_text_is_held_and_never_told(site: DropSite) -> None:
    site.drop(b"S26-\xff.svs")
    async with site.running():
        (held,) = await site.wait_for("pack.quarantined")
    assert (held.reason, held.detail) == ("invalid-barcode", "")


async def test_a_pack_whose_files_are_taken_away_has_vanished(site: DropSite) -> None:
    file = site.drop("a.txt")
    async with site.running():
        (arrived,) = await site.wait_for("pack.arrived")
        file.unlink()
        await site.wait_for("pack.vanished")
        assert await site.known.find(arrived.pack) is None


async def test_a_file_that_replaces_a_held_one_is_a_pack_of_its_own(site: DropSite) -> None:
    site.faults["a"] = "truncated"
    site.drop("a.svs", b"half")
    async with site.running():
        (held,) = await site.wait_for("pack.quarantined")
        site.faults.clear()
        replaced = site.drop("aside", b"the whole slide")
        replaced.replace(site.root / "a.svs")
        (settled,) = await site.wait_for("pack.settled")
    (superseded,) = await site.events("pack.superseded")
    assert superseded.pack == held.pack != settled.pack
    assert await states(site) == {PackState.SUPERSEDED: 1, PackState.SETTLED: 1}


async def test_a_pack_whose_files_the_index_lost_is_held(site: DropSite) -> None:
    await site.journal.commit(PackArrived(pack=PackId("f" * 16), drop="scanner", batch="b" * 12))
    await site.intake.settle(SettlePack(pack=PackId("f" * 16)))
    (held,) = await site.events("pack.quarantined")
    assert held.reason == "unknown-files"


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


async def test_a_portion_of_many_packs_asks_for_each_sessions_batch_once(site: DropSite) -> None:
    for number in range(50):
        site.drop(f"{'monday' if number % 2 else 'tuesday'}/{number}.svs")
    asked: list[bytes] = []
    open_batch = site.known.open_batch

    async def counted(drop: str, folder: bytes) -> Any:
        asked.append(folder)
        return await open_batch(drop, folder)

    site.known.open_batch = counted  # type: ignore[method-assign]
    await site.intake._watchers["scanner"].look([])
    assert sorted(asked) == [b"monday", b"tuesday"]
    assert len(await site.events("pack.arrived")) == 50


async def test_members_that_join_many_packs_are_remembered_together(site: DropSite) -> None:
    for number in range(50):
        site.drop(f"{number}.txt")
    watcher = site.intake._watchers["scanner"]
    await watcher.look([])
    for number in range(50):
        site.drop(f"{number}.svs")
    written: list[int] = []
    remember = site.known.remember

    async def counted(packs: Sequence[PackFiles]) -> None:
        written.append(len(packs))
        await remember(packs)

    site.known.remember = counted  # type: ignore[method-assign]
    await watcher.look([])
    assert written == [50]
    for arrived in await site.events("pack.arrived"):
        files = await site.known.find(arrived.pack)
        assert files is not None
        assert len(files.members) == 2


async def test_a_member_that_could_not_be_remembered_is_found_again(site: DropSite) -> None:
    site.drop("a.txt")
    watcher = site.intake._watchers["scanner"]
    await watcher.look([])
    (arrived,) = await site.events("pack.arrived")
    site.drop("a.svs")
    remember = site.known.remember

    async def full(_: Any) -> None:
        raise Unavailable("state", "intake-index")

    site.known.remember = full  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await watcher.look([])
    site.known.remember = remember  # type: ignore[method-assign]
    await watcher.look([])
    files = await site.known.find(arrived.pack)
    assert files is not None
    assert len(files.members) == 2


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


async def test_a_folder_that_goes_away_is_waited_for_and_no_pack_vanishes(tmp_path: Path) -> None:
    async with drop_site(tmp_path, incomplete_seconds=60.0) as site:
        site.drop("a.txt")
        async with site.running():
            await site.wait_for("pack.arrived")
            site.root.rename(tmp_path / "unmounted")

            async def away() -> bool:
                return len(site.suspensions) > 3 and site.intake.status()[0]["available"] == "unreachable"

            await eventually(away)
            (tmp_path / "unmounted").rename(site.root)
            site.drop("a.svs")
            await site.wait_for("pack.settled")
            assert site.intake.status()[0]["available"] == "yes"
        assert {trouble.place for trouble in site.suspensions} == {"drop:scanner"}
        assert [event.type for event in await site.events("pack.arrived", "pack.vanished")] == ["pack.arrived"]


async def test_an_empty_folder_without_its_sentinel_is_away_and_not_empty(tmp_path: Path) -> None:
    async with drop_site(tmp_path, sentinel="this-is-the-share", incomplete_seconds=60.0) as site:
        site.drop("this-is-the-share")
        site.drop("a.txt")
        async with site.running():
            await site.wait_for("pack.arrived", 2)
            site.root.rename(tmp_path / "unmounted")
            site.root.mkdir()

            async def away() -> bool:
                return bool(site.suspensions)

            await eventually(away)
        assert site.suspensions[0].reason == "no-sentinel"
        assert await site.events("pack.vanished") == []


async def test_status_counts_what_has_not_settled(site: DropSite) -> None:
    site.drop("monday/a.txt")
    async with site.running():
        await site.wait_for("pack.arrived")
        (row,) = site.intake.status()
        assert (row["drop"], row["unsettled"], row["stuck"]) == ("scanner", 1, 0)

        async def counted() -> bool:
            return bool(site.intake.status()[0]["directories"] == 2)

        await eventually(counted)


async def test_status_shows_watches_beside_their_limit(site: DropSite) -> None:
    site.drop("monday/a.txt")
    site.drops["scanner"] = replace(site.drops["scanner"], hints=InotifyHints(site.root))
    site.intake = site.new_intake()
    limit = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
    async with site.running():

        async def shown() -> bool:
            row = site.intake.status()[0]
            return (row["watches"], row["watch_limit"]) == (2, limit)

        await eventually(shown)
    site.drops["scanner"].hints.stop()


async def crash_at(site: DropSite, type_: str) -> None:
    """Run until the daemon dies just before an event of this type is committed."""
    died = asyncio.Event()

    async def die(event: Event) -> None:
        if event.type == type_:
            died.set()
            await asyncio.Event().wait()

    site.before_report = die
    async with site.running(), asyncio.timeout(5):
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


async def test_an_order_to_settle_what_settled_meanwhile_is_no_order(site: DropSite) -> None:
    site.drop("a.svs")
    async with site.running():
        (settled,) = await site.wait_for("pack.settled")
        await site.intake.settle(SettlePack(pack=settled.pack))
        assert site.intake.status()[0]["unsettled"] == 0


def remembered(folder: Path) -> bytes:
    """Everything that the index holds, as one would search it for identifiers."""
    with sqlite3.connect(folder / "intake.sqlite") as connection:
        return b"".join(repr(row).encode() for table in TABLES for row in connection.execute(f"SELECT * FROM {table}"))


TABLES = ("files", "packs", "directories", "batches", "markers")


async def test_of_a_folder_that_is_gone_the_index_keeps_no_name(tmp_path: Path) -> None:
    async with drop_site(tmp_path, ready="marker") as site:
        for name in ("Abernathy/deep/S26-1.svs", "Abernathy/S26-2.svs", "Abernathy/READY", "tuesday/S26-3.svs"):
            site.drop(name)
        async with site.running():
            for settled in await site.wait_for("pack.settled", 2):
                await site.journal.commit(PackQuarantined(pack=settled.pack, step="anonymize", reason="truncated"))
                await site.journal.commit(PackDiscarded(pack=settled.pack, by="path-lab"))
            assert b"Abernathy" in remembered(tmp_path)
            shutil.rmtree(site.root / "Abernathy")

            async def forgotten() -> bool:
                return not any(name in remembered(tmp_path) for name in (b"Abernathy", b"S26-1", b"S26-2"))

            await eventually(forgotten)
        assert b"S26-3" in remembered(tmp_path)
        assert (await site.journal.counts())[PackState.DISCARDED] == 2


async def test_a_file_that_is_gone_is_remembered_until_its_pack_is_at_rest(site: DropSite, tmp_path: Path) -> None:
    site.drop("monday/deep/a.svs")
    async with site.running():
        (settled,) = await site.wait_for("pack.settled")
    shutil.rmtree(site.root / "monday")
    await site.intake._watchers["scanner"].look([])
    assert await site.known.find(settled.pack) is not None
    await site.journal.commit(PackQuarantined(pack=settled.pack, step="anonymize", reason="truncated"))
    await site.journal.commit(PackDiscarded(pack=settled.pack, by="path-lab"))
    await site.intake._watchers["scanner"].look([])
    assert await site.known.find(settled.pack) is None
    assert b"deep" not in remembered(tmp_path)


async def test_files_that_go_away_with_their_share_are_remembered(tmp_path: Path) -> None:
    async with drop_site(tmp_path, sentinel="this-is-the-share") as site:
        site.drop("this-is-the-share")
        site.drop("a.svs")
        async with site.running():
            (settled,) = await site.wait_for("pack.settled")
        await site.journal.commit(PackQuarantined(pack=settled.pack, step="anonymize", reason="truncated"))
        await site.journal.commit(PackDiscarded(pack=settled.pack, by="path-lab"))
        site.root.rename(tmp_path / "unmounted")
        site.root.mkdir()
        with pytest.raises(Unavailable):
            await site.intake._watchers["scanner"].look([])
        assert await site.known.find(settled.pack) is not None
