"""Records are taken when all files are there and quiet and the batch's images are complete; corrected files are a revision."""

from __future__ import annotations

import asyncio
from pathlib import Path

from slidekeeper.messages.events import RecordsAligned, RecordsLoaded, RecordsQuarantined
from slidekeeper.model.records import AlignmentFacts, RecordsId
from steps.intake.drop_site import eventually
from steps.records.records_site import RecordsSite, records_site
from writers.events import records_facts

BOTH = ("monday/CSV1.csv", "monday/CSV2.csv")


async def settled(site: RecordsSite, count: int = 1) -> list[object]:
    """The settlements so far, once there are so many."""

    async def enough() -> list[object]:
        found = await site.events("records.settled")
        return found if len(found) >= count else []

    return await eventually(enough)


async def align(site: RecordsSite, records: RecordsId, revision: int) -> None:
    """Let the steps behind intake succeed."""
    facts = records_facts(records, revision=revision)
    await site.journal.commit(RecordsLoaded(records=records, facts=facts))
    aligned = AlignmentFacts(records=records, revision=revision, alignment=1, counts={})
    await site.journal.commit(RecordsAligned(records=records, facts=aligned))


async def waits(site: RecordsSite, reason: str) -> None:
    """Return once the only delivery waits for this."""

    async def does() -> bool:
        return await site.waiting() == reason

    await eventually(does)


async def test_a_complete_quiet_delivery_of_a_complete_batch_settles(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        batch = await site.batch(b"monday", "b1")
        site.deliver(*BOTH)
        async with site.running():
            [event] = await settled(site)
        assert (event.batch, event.revision, event.files) == (batch, 1, 2)
        assert [type(each).__name__ for each in await site.events()] == ["RecordsArrived", "RecordsSettled"]


async def test_rows_wait_until_all_files_of_the_batch_are_there(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        await site.batch(b"monday", "b1")
        site.deliver("monday/CSV1.csv")
        async with site.running():
            await waits(site, "file-missing patients")
            site.deliver("monday/CSV2.csv")
            await settled(site)


async def test_rows_wait_until_the_images_are_complete(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        batch = await site.batch(b"monday", "b1", completed=False)
        site.deliver(*BOTH)
        async with site.running():
            await waits(site, "images-incomplete")
            await site.complete(batch)
            await settled(site)


async def test_rows_of_a_session_without_images_wait(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        await site.batch(b"tuesday", "b1")
        site.deliver(*BOTH)
        async with site.running():
            await waits(site, "no-batch")
            await site.batch(b"monday", "b2")
            await settled(site)


async def test_two_files_for_one_source_wait_for_a_person(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        await site.batch(b"monday", "b1")
        site.deliver(*BOTH, "monday/CSV1-corrected.csv")
        async with site.running():
            await waits(site, "two-files imagery")
            (site.root / "monday/CSV1.csv").unlink()
            await settled(site)


async def test_a_file_that_is_still_written_is_not_taken(tmp_path: Path) -> None:
    async with records_site(tmp_path, settle_seconds=1.0) as site:
        await site.batch(b"monday", "b1")
        site.deliver(*BOTH)
        async with site.running():
            with (site.root / BOTH[0]).open("a") as growing:
                for _ in range(60):
                    growing.write("S26-1.svs,HE\n")
                    growing.flush()
                    await asyncio.sleep(0.02)
                assert await site.events("records.settled") == []
            await settled(site)


async def test_files_of_the_root_belong_to_packs_of_the_root(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        await site.batch(b"", "b1")
        site.deliver("CSV1.csv", "CSV2.csv")
        async with site.running():
            await settled(site)


async def test_other_files_and_symlinks_are_left_alone(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        await site.batch(b"monday", "b1")
        site.deliver("monday/readme.txt")
        (site.root / "monday/CSV1.csv").symlink_to("/etc/passwd")
        async with site.running():
            await asyncio.sleep(0.2)
        assert await site.events() == []


async def test_a_corrected_file_is_a_revision_of_its_own(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        await site.batch(b"monday", "b1")
        site.deliver(*BOTH)
        async with site.running():
            [first] = await settled(site)
            await align(site, first.records, 1)
            site.deliver("monday/CSV2.csv", content="Image File,MRN\nS26-1.svs,0042\n")
            [_, second] = await settled(site, 2)
        assert (second.records, second.revision) == (first.records, 2)


async def test_a_corrected_file_of_records_that_were_held_is_the_same_revision(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        await site.batch(b"monday", "b1")
        site.deliver(*BOTH)
        async with site.running():
            [first] = await settled(site)
            await site.journal.commit(RecordsQuarantined(records=first.records, step="load", reason="unknown-column"))
            site.deliver("monday/CSV2.csv", content="Image File,MRN\nS26-1.svs,0042\n")
            [_, second] = await settled(site, 2)
        assert second.revision == 1


async def test_unchanged_files_are_taken_once_however_often_the_daemon_starts(tmp_path: Path) -> None:
    for _ in range(2):
        async with records_site(tmp_path) as site:
            if not await site.events():
                await site.batch(b"monday", "b1")
                site.deliver(*BOTH)
            async with site.running():
                [first] = await settled(site)
                row = await site.journal.records_row(first.records)
                if row and row.state.value == "settled":
                    await align(site, first.records, 1)
                await asyncio.sleep(0.15)
            assert len(await site.events("records.arrived")) == 1


async def test_an_unmounted_folder_suspends_and_takes_nothing_back(tmp_path: Path) -> None:
    async with records_site(tmp_path) as site:
        await site.batch(b"monday", "b1")
        site.root.rename(tmp_path / "away")
        async with site.running():

            async def told() -> bool:
                return bool(site.suspensions)

            await eventually(told)
            (tmp_path / "away").rename(site.root)
            site.deliver(*BOTH)
            await settled(site)
        assert site.suspensions[0].place == "drop:records"
