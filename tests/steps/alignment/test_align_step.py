"""Rows find their slides by the numbers that stand for original names; slides that come late find their rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import polars as pl
import pytest

from slidekeeper.messages.commands import AlignRecords
from slidekeeper.model.identity import BatchId
from steps.records.records_desk import BATCH, RecordsDesk, records_desk
from writers.records import write_records

SLIDES = ("S26-10000;A;1.svs", "S26-10001;A;1.svs")
LATER = BatchId("b00000000002")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RecordsDesk]:
    async with records_desk(tmp_path) as desk:
        await desk.open_batch()
        yield desk


def deliver(desk: RecordsDesk, *names: str) -> None:
    """Write the session's three files for slides of these names."""
    write_records(desk.root / "records" / "monday", names or SLIDES)


async def test_rows_are_tied_to_the_slides_of_their_names(desk: RecordsDesk) -> None:
    deliver(desk)
    for seed, name in enumerate(SLIDES, 1):
        await desk.scan(name, seed)
    await desk.load()
    event = await desk.align()
    assert {finding: count for finding, count in event.facts.counts.items() if count} == {"matched": 6}


async def test_a_name_that_differs_in_case_and_extension_matches_by_normalization(desk: RecordsDesk) -> None:
    deliver(desk, "s26-10000;a;1.SVS")
    number = await desk.scan(SLIDES[0], 1)
    await desk.load()
    await desk.align()
    rows = pl.read_parquet(desk.root / "bucket" / "records" / BATCH / "r1-a1" / "alignment.parquet")
    assert set(rows["match_method"]) == {"normalized"}
    assert set(rows["slide_number"]) == {number}


async def test_what_stands_alone_is_counted_and_told_to_the_hospital_in_its_own_words(desk: RecordsDesk) -> None:
    deliver(desk, SLIDES[0], "S26-99999;A;1.svs")
    await desk.scan(SLIDES[0], 1)
    await desk.scan("S26-77777;A;1.svs", 2)
    await desk.load()
    counts = (await desk.align()).facts.counts
    assert (counts["row-without-slide"], counts["slide-without-row"]) == (3, 1)
    report = (desk.root / "reports" / "monday" / "alignment-r1.csv").read_text()
    assert "slide-without-row,,,S26-77777;A;1" in report
    assert "row-without-slide,imagery,3," in report


async def test_rows_that_stand_alone_can_be_listed_by_line(desk: RecordsDesk) -> None:
    deliver(desk, SLIDES[0], "S26-99999;A;1.svs")
    await desk.scan(SLIDES[0], 1)
    event = await desk.load()
    await desk.align()
    await desk.catch_up()
    found = await desk.catalog.findings(event.records, 10)
    assert [(row["source"], row["row"], row["problem"]) for row in found] == [
        ("diagnoses", 3, "row-without-slide"),
        ("imagery", 3, "row-without-slide"),
        ("patients", 3, "row-without-slide"),
    ]


async def test_aligning_twice_is_aligning_once(desk: RecordsDesk) -> None:
    deliver(desk)
    await desk.load()
    first = await desk.align()
    row = await desk.journal.records_row(first.records)
    assert row is not None
    assert row.alignment == 1
    again = AlignRecords(records=first.records, revision=1, batch=BATCH, alignment=1)
    assert await desk.align_step.run(again) == first


async def test_a_late_slide_has_its_records_aligned_again(desk: RecordsDesk) -> None:
    deliver(desk)
    await desk.scan(SLIDES[0], 1)
    await desk.load()
    assert (await desk.align()).facts.counts["row-without-slide"] == 3
    await desk.open_batch(LATER)
    await desk.scan(SLIDES[1], 2, LATER)
    await desk.realigner.look()
    [again] = await desk.follow_orders()
    assert (again.facts.alignment, again.facts.counts["matched"], again.facts.counts["row-without-slide"]) == (2, 6, 0)


async def test_a_late_slide_under_another_spelling_of_its_name_is_found_too(desk: RecordsDesk) -> None:
    deliver(desk, "s26-10001;a;1.SVS")
    await desk.load()
    await desk.align()
    await desk.scan(SLIDES[1], 1)
    await desk.realigner.look()
    [again] = await desk.follow_orders()
    assert again.facts.counts["matched"] == 3


async def test_a_slide_that_no_rows_wait_for_changes_nothing(desk: RecordsDesk) -> None:
    deliver(desk)
    for seed, name in enumerate(SLIDES, 1):
        await desk.scan(name, seed)
    await desk.load()
    await desk.align()
    await desk.realigner.look()
    await desk.follow_orders()
    await desk.files.begin_batch(LATER, "scanner", b"tuesday")
    await desk.scan("S26-55555;A;1.svs", 3, LATER)
    await desk.realigner.look()
    assert await desk.journal.pending("align", 0, 10) == []


async def test_late_slides_are_looked_for_from_where_the_last_look_ended(desk: RecordsDesk) -> None:
    deliver(desk)
    await desk.load()
    await desk.align()
    await desk.scan(SLIDES[0], 1)
    await desk.realigner.look()
    assert await desk.known.watched_to() == (await desk.journal.latest(1, ["slide.stored"]))[0].seq
    await desk.follow_orders()
    await desk.realigner.look()
    assert await desk.journal.pending("align", 0, 10) == []
