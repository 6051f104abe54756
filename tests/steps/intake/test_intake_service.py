"""What scanners leave becomes packs and batches; nothing is lost to late files, notices, crashes or folders that go away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.drop.hints import InotifyHints
from slidekeeper.errors import Unavailable
from slidekeeper.messages.commands import SettlePack
from slidekeeper.messages.events import PackArrived
from slidekeeper.model.identity import PackId
from slidekeeper.model.phi import PackFiles, Role
from slidekeeper.workflow.states import PackState
from steps.intake.drop_site import DropSite, drop_site, eventually


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[DropSite]:
    """A site that waits for a pack's image longer than any machine takes to show what has changed."""
    async with drop_site(tmp_path, incomplete_seconds=60.0, stuck_seconds=60.0) as site:
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


async def test_a_file_that_comes_while_its_pack_is_unsettled_joins_it(patient: DropSite) -> None:
    patient.drop("a.txt")
    async with patient.running():
        await patient.wait_for("pack.arrived")
        patient.drop("a.svs")
        (settled,) = await patient.wait_for("pack.settled")
        files = await patient.known.find(settled.pack)
    assert settled.files == 2
    assert files is not None
    assert {member.role for member in files.members} == {Role.IMAGE, Role.BARCODE}
    assert len(await patient.events("pack.arrived")) == 1


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


async def test_a_pack_whose_files_are_taken_away_has_vanished(patient: DropSite) -> None:
    file = patient.drop("a.txt")
    async with patient.running():
        (arrived,) = await patient.wait_for("pack.arrived")
        file.unlink()
        await patient.wait_for("pack.vanished")
        assert await patient.known.find(arrived.pack) is None


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


async def test_status_counts_what_has_not_settled(patient: DropSite) -> None:
    patient.drop("monday/a.txt")
    async with patient.running():
        await patient.wait_for("pack.arrived")
        (row,) = patient.intake.status()
        assert (row["drop"], row["unsettled"], row["stuck"]) == ("scanner", 1, 0)

        async def counted() -> bool:
            return bool(patient.intake.status()[0]["directories"] == 2)

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


async def test_an_order_to_settle_what_settled_meanwhile_is_no_order(site: DropSite) -> None:
    site.drop("a.svs")
    async with site.running():
        (settled,) = await site.wait_for("pack.settled")
        await site.intake.settle(SettlePack(pack=settled.pack))
        assert site.intake.status()[0]["unsettled"] == 0
