"""A batch's CSV files become rows without identifiers: searched before they are published, loaded once, held when they are wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from slidekeeper.errors import Permanent
from slidekeeper.messages.events import RecordsArrived, RecordsLoaded, RecordsQuarantined, RecordsRetried, RecordsSettled
from slidekeeper.model.contract import Action, Contract, Domain
from slidekeeper.steps.records import job
from slidekeeper.steps.records.transform import transform
from steps.records.records_desk import BATCH, RECORDS, RecordsDesk, records_desk
from system.site_under_test import encodings
from writers.records import PlantedRecords, write_records

SLIDES = ("S26-10000;A;1.svs", "S26-10001;A;1.svs", "S26-10002;A;1.svs")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RecordsDesk]:
    async with records_desk(tmp_path) as desk:
        await desk.open_batch()
        yield desk


def deliver(desk: RecordsDesk, mistakes: bool = False, seed: int = 1) -> PlantedRecords:
    """Write the session's three files."""
    return write_records(desk.root / "records" / "monday", SLIDES, mistakes=mistakes, seed=seed)


async def test_rows_come_out_with_numbers_and_without_identifiers(desk: RecordsDesk) -> None:
    planted = deliver(desk)
    event = await desk.load()
    assert isinstance(event, RecordsLoaded)
    rows = desk.rows("patients")
    assert rows.height == 3
    assert rows["patient_number"].n_unique() == 3
    assert {"birth_year", "collection_year", "sex"} <= set(rows.columns)
    patterns = {pattern for identifier in planted.identifiers for pattern in encodings(identifier)}
    said = "".join(desk.rows(source).write_csv() for source in ("imagery", "patients", "diagnoses")).encode()
    assert not [pattern for pattern in patterns if pattern in said]


async def test_one_number_covers_a_slide_in_all_three_files_and_in_the_bucket(desk: RecordsDesk) -> None:
    deliver(desk)
    stored = {await desk.scan(name, seed) for seed, name in enumerate(SLIDES, 1)}
    await desk.load()
    assert all(set(desk.rows(source)["slide_number"]) == stored for source in ("imagery", "patients", "diagnoses"))
    assert desk.rows("imagery").sort("row")["patient_number"].to_list() == desk.rows("patients").sort("row")["patient_number"].to_list()


async def test_rejected_rows_are_counted_by_code_and_told_to_the_hospital_by_line(desk: RecordsDesk) -> None:
    deliver(desk, mistakes=True)
    event = await desk.load()
    rejected = {source.source: dict(source.rejected) for source in event.facts.sources}
    assert rejected["imagery"] == {}
    assert rejected["patients"]["not-a-date"] == 1
    assert rejected["diagnoses"]["wrong-field-count"] == 1
    report = (desk.root / "reports" / "monday" / "rejected-r1.csv").read_text()
    assert "monday/CSV2_patients.csv,5,Collection Date,not-a-date" in report


async def test_columns_that_single_out_a_few_patients_are_told_to_the_hospital(desk: RecordsDesk) -> None:
    deliver(desk)
    event = await desk.load()
    report = (desk.root / "reports" / "monday" / "small-cells-r1.csv").read_text()
    assert "patients,birth_year," in report
    assert all(source.small_cells == source.rows for source in event.facts.sources)


async def test_loading_twice_is_loading_once(desk: RecordsDesk) -> None:
    deliver(desk)
    order = await desk.settle()
    first = await desk.load_step.run(order)
    assert await desk.load_step.run(order) == first
    assert desk.bucket.asides() == set()


async def test_a_file_that_changed_since_it_settled_settles_again(desk: RecordsDesk) -> None:
    deliver(desk)
    order = await desk.settle()
    deliver(desk, seed=9)
    assert await desk.load_step.run(order) == RecordsArrived(records=RECORDS, revision=1)
    assert desk.bucket.asides() == set()


async def test_an_unknown_column_holds_the_records_and_says_where(desk: RecordsDesk) -> None:
    planted = deliver(desk)
    text = planted.files[0].read_text()
    planted.files[0].write_text(text.replace("Image File;", "Patient Jane Roe;Image File;", 1))
    with pytest.raises(Permanent) as held:
        await desk.load()
    assert held.value.reason == "unknown-column"
    assert held.value.detail.startswith("imagery: ")
    assert "Roe" not in str(held.value)


async def test_a_transformation_that_leaks_is_caught_before_anything_is_published(
    desk: RecordsDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(desk)

    def leaking(rows: pl.DataFrame, contract: Contract, *rest: Any, **more: Any) -> pl.DataFrame:
        return transform(rows, contract, *rest, **more).with_columns(note=rows[contract.of_domain(Domain.SLIDE).name])

    monkeypatch.setattr(job, "transform", leaking)
    with pytest.raises(Permanent) as held:
        await desk.load()
    assert held.value.reason == "identifier-found"
    assert "imagery.note: " in held.value.detail
    assert "S26" not in str(held.value)
    assert desk.bucket.asides() == set()
    assert not desk.bucket.has("records")


async def test_rows_of_somebody_whose_consent_is_withdrawn_are_left_out(desk: RecordsDesk) -> None:
    deliver(desk)
    await desk.load()
    gone = desk.rows("patients").sort("row")["patient_number"][0]
    await desk.linking.erase([gone])
    await desk.align()
    deliver(desk)
    event = await desk.load(revision=2)
    assert [dict(source.rejected) for source in event.facts.sources] == [{"consent-withdrawn": 1}] * 3
    assert desk.rows("patients", revision=2).height == 2


async def test_a_corrected_file_is_stored_beside_its_predecessor(desk: RecordsDesk) -> None:
    deliver(desk)
    await desk.load()
    await desk.align()
    deliver(desk, seed=5)
    event = await desk.load(revision=2)
    assert event.facts.key.endswith("/r2")
    assert desk.rows("patients", 1).height == desk.rows("patients", 2).height == 3


def scrubbing(desk: RecordsDesk) -> None:
    """Let comments of the patients come out, scrubbed."""
    contract = desk.contracts["patients"]
    comment = contract.column("Comment").model_copy(update={"action": Action.SCRUB})
    columns = tuple(comment if column.name == "Comment" else column for column in contract.columns)
    desk.load_step.contracts["patients"] = contract.model_copy(update={"columns": columns})  # type: ignore[index]


async def test_scrubbed_texts_wait_until_a_person_has_read_a_sample(desk: RecordsDesk) -> None:
    planted = deliver(desk)
    scrubbing(desk)
    order = await desk.settle()
    with pytest.raises(Permanent) as held:
        await desk.load_step.run(order)
    assert held.value.reason == "needs-review"
    assert desk.bucket.asides() == set()
    sample = (desk.root / "reports" / "monday" / "scrubbed-r1.csv").read_text()
    assert "asks to be called" in sample
    assert not [person for person in planted.patients.values() if person.last in sample]
    await desk.journal.commit(RecordsQuarantined(records=RECORDS, step="load", reason="needs-review"))
    await desk.journal.commit(RecordsRetried(records=RECORDS, by="operator", reviewed=True))
    assert isinstance(await desk.load_step.run(order), RecordsLoaded)
    assert all("asks to be called" in comment for comment in desk.rows("patients")["comment"])


async def test_a_review_holds_for_the_files_that_were_read_and_no_others(desk: RecordsDesk) -> None:
    deliver(desk)
    scrubbing(desk)
    await desk.settle()
    await desk.journal.commit(RecordsQuarantined(records=RECORDS, step="load", reason="needs-review"))
    await desk.journal.commit(RecordsRetried(records=RECORDS, by="operator", reviewed=True))
    await desk.journal.commit(RecordsSettled(records=RECORDS, revision=1, batch=BATCH, files=3, size=1))
    await desk.journal.commit(RecordsQuarantined(records=RECORDS, step="load", reason="share-slow"))
    deliver(desk, seed=3)
    with pytest.raises(Permanent, match="needs-review"):
        await desk.load_step.run(await desk.settle())


class NoScratch:
    """Lends places that nobody can open."""

    @contextmanager
    def lend(self, count: int) -> Iterator[tuple[Path, ...]]:
        yield (Path("/nowhere/rows"),) * count


async def test_where_no_memory_is_lent_the_files_are_read_again_and_nothing_else_changes(desk: RecordsDesk) -> None:
    deliver(desk, mistakes=True)
    lent = await desk.load()
    await desk.align()
    rows = desk.rows("patients")
    desk.load_step = replace(desk.load_step, scratch=NoScratch())
    event = await desk.load(revision=2)
    assert [source.rejected for source in event.facts.sources] == [source.rejected for source in lent.facts.sources]
    assert desk.rows("patients", revision=2).equals(rows)
