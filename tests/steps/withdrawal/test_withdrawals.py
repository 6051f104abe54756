"""Whose consent is withdrawn is gone: slides, rows of every revision, alignments, links; and what a kill interrupted is done again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest

from slidekeeper.adapters.snapshots.documents import encode_document
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.messages.events import SlidesRemoved
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.tree import FileEntry, encode_tree
from slidekeeper.model.version import RunOfVersion, VersionDocument
from steps.records.records_desk import RecordsDesk, records_desk
from writers.records import write_records

SLIDES = ("S26-10000;A;1.svs", "S26-10001;A;1.svs")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RecordsDesk]:
    async with records_desk(tmp_path) as desk:
        await desk.open_batch()
        write_records(desk.root / "records" / "monday", SLIDES)
        for seed, name in enumerate(SLIDES, 1):
            await desk.scan(name, seed)
        await desk.load()
        await desk.align()
        await desk.publish()
        yield desk


def first(desk: RecordsDesk) -> tuple[SlideNumber, str]:
    """Slide and patient of the first row."""
    row = desk.rows("patients").sort("row").row(0, named=True)
    return SlideNumber(row["slide_number"]), row["patient_number"]


async def carry_out(desk: RecordsDesk) -> None:
    """One round of the service."""
    for order in await desk.withdrawals._unfinished():
        await desk.withdrawals._carry_out(order)


async def test_a_patients_slides_rows_and_links_are_removed(desk: RecordsDesk) -> None:
    slide, patient = first(desk)
    await desk.withdrawals.order([patient], "broker")
    await carry_out(desk)
    assert not desk.bucket.has(f"slides/{slide[:3]}/{slide}")
    for source in ("imagery", "patients", "diagnoses"):
        assert slide not in set(desk.rows(source)["slide_number"])
    assert await desk.linking.reveal([slide, patient]) == {}
    [removed] = [recorded.event for recorded in await desk.journal.events(0, 1000, ["slides.removed"])]
    assert (removed.revisions, removed.rows, removed.slides) == (1, 3, (slide,))


async def test_no_file_outside_the_fence_names_the_slide_or_patient_any_more(desk: RecordsDesk) -> None:
    slide, patient = first(desk)
    await desk.withdrawals.order([patient], "broker")
    await carry_out(desk)
    await desk.follow_orders()
    await desk.publish()
    await desk.catalog.compact()
    searched = [path for name in ("bucket", "published") for path in (desk.root / name).rglob("*") if path.is_file()]
    for path in [*searched, *desk.root.glob("catalog.duckdb*")]:
        content = path.read_bytes()
        assert slide.encode() not in content, path
        assert patient.encode() not in content, path
        if path.suffix == ".parquet":
            assert patient not in str(pl.read_parquet(path).rows())


async def test_rows_of_earlier_revisions_go_as_well(desk: RecordsDesk) -> None:
    _, patient = first(desk)
    write_records(desk.root / "records" / "monday", SLIDES, seed=1)
    await desk.load(revision=2)
    await desk.align(revision=2)
    await desk.withdrawals.order([patient], "broker")
    await carry_out(desk)
    assert all(patient not in set(desk.rows("patients", revision)["patient_number"]) for revision in (1, 2))


async def test_what_remains_is_aligned_again(desk: RecordsDesk) -> None:
    _, patient = first(desk)
    await desk.withdrawals.order([patient], "broker")
    await carry_out(desk)
    [again] = await desk.follow_orders()
    assert again.facts.counts["matched"] == 3
    assert again.facts.alignment == 2


async def test_a_slide_alone_leaves_its_patients_other_slides(desk: RecordsDesk) -> None:
    slide, _ = first(desk)
    kept = next(number for number in desk.rows("patients")["slide_number"] if number != slide)
    await desk.withdrawals.order([slide], "broker")
    await carry_out(desk)
    assert not desk.bucket.has(f"slides/{slide[:3]}/{slide}")
    assert desk.bucket.has(f"slides/{kept[:3]}/{kept}")


async def test_from_the_order_on_nothing_of_the_slide_may_be_stored(desk: RecordsDesk) -> None:
    slide, _ = first(desk)
    await desk.withdrawals.order([slide], "broker")
    assert slide in desk.withdrawn


async def test_a_withdrawal_that_was_interrupted_is_carried_out_again(desk: RecordsDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    slide, patient = first(desk)
    await desk.withdrawals.order([patient], "broker")

    async def away() -> None:
        raise Unavailable("state", "disk-full")

    with monkeypatch.context() as patch:
        patch.setattr(desk.withdrawals, "_publish", away)
        with pytest.raises(Unavailable):
            await carry_out(desk)
    await desk.follow_orders()
    await carry_out(desk)
    assert await desk.withdrawals._unfinished() == []
    assert slide not in set(pl.read_parquet(desk.root / "published" / "records_patients.parquet")["slide_number"])


@pytest.mark.parametrize("number", ["123", "S26-10000", "000000000000"])
async def test_what_is_no_number_is_refused_before_anything_happens(desk: RecordsDesk, number: str) -> None:
    with pytest.raises(Refused) as refused:
        await desk.withdrawals.order([number], "broker")
    assert refused.value.reason == "no-number"
    assert await desk.withdrawals._unfinished() == []


async def test_a_number_that_nobody_has_is_refused(desk: RecordsDesk) -> None:
    with pytest.raises(Refused) as refused:
        await desk.withdrawals.order(["999999999999"], "broker")
    assert refused.value.reason == "unknown-number"


def lay_version(desk: RecordsDesk, number: int, provenance: str) -> None:
    """A version whose run tells what it trained on."""
    store = desk.bucket.root / "protected"
    content = provenance.encode()
    digest = sha256(content).hexdigest()
    entry = FileEntry(name="provenance.json", size=len(content), sha256=digest, mode="0644", mtime=0)
    tree = b"".join(encode_tree([], [entry]))
    counted = {"files": 1, "size": len(content), "added": 0, "missing": 0}
    told = {"status": "succeeded", "message": "", "by": "marker", "policy": "default", "slidekeeper": "0.3.0"}
    run = RunOfVersion(run="dddddddddddd", name="a", folder="/runs/gleason/a")
    named = sha256(tree).hexdigest()
    document = VersionDocument(
        project="gleason", version=number, created=datetime(2026, 11, 24, tzinfo=UTC), tree=named, run=run, **told, **counted
    )
    for key, data in {
        f"blobs/{digest[:2]}/{digest}": content,
        f"trees/{named[:2]}/{named}.json": tree,
        f"versions/gleason/{number}.json": encode_document(document),
    }.items():
        (store / key).parent.mkdir(parents=True, exist_ok=True)
        (store / key).write_bytes(data)


async def test_versions_that_were_trained_on_somebody_are_listed(desk: RecordsDesk) -> None:
    slide, patient = first(desk)
    lay_version(desk, 1, f'{{"staging": {{"slides": ["{slide}"]}}}}')
    lay_version(desk, 2, '{"staging": {"slides": ["999999999999"]}}')
    await desk.withdrawals.order([patient], "broker")
    await carry_out(desk)
    [removed] = [recorded.event for recorded in await desk.journal.events(0, 1000, ("slides.removed",))]
    assert isinstance(removed, SlidesRemoved)
    assert removed.versions == ("gleason@v1",)
