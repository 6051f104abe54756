"""The catalog can be thrown away at any time: the journal's events make it again as it was."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.errors import Refused
from slidekeeper.messages import events as fact
from slidekeeper.model.identity import SlideNumber
from slidekeeper.ports.journal import Recorded
from writers.events import BATCH, EVENTS, NUMBER, event_of, pack_id, slide_facts

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
VIEWS = ("slides", "revisions", "packs", "batches", "stagings", "runs", "versions")


def open_catalog(path: Path) -> DuckdbCatalog:
    return DuckdbCatalog.open(path, memory_megabytes=100, threads=1)


def record(*events: fact.Event, after: int = 0) -> list[Recorded]:
    """The events as the journal holds them, a second apart."""
    return [Recorded(seq, f"id-{seq}", START + timedelta(seconds=seq), event) for seq, event in enumerate(events, after + 1)]


def stored(number: int, revision: int = 1, batch: str = BATCH) -> fact.SlideStored:
    slide = SlideNumber(f"{100000000000 + number}")
    pack = pack_id(10 * number + revision)
    return event_of(fact.SlideStored, pack, facts=slide_facts(pack, number=slide, revision=revision, batch=batch))  # type: ignore[arg-type, no-any-return]


async def contents(catalog: DuckdbCatalog, folder: Path) -> dict[str, Any]:
    """Every view as a researcher reads it."""
    await catalog.publish(folder)
    return {view: read(folder / f"{view}.parquet") for view in VIEWS}


def read(parquet: Path) -> list[tuple[Any, ...]]:
    return duckdb.connect().execute(f"FROM read_parquet('{parquet}')").fetchall()


async def project(path: Path, folder: Path, *pages: Sequence[Recorded]) -> dict[str, Any]:
    """What a catalog at ``path`` holds after these pages; it is closed again."""
    catalog = open_catalog(path)
    for page in pages:
        await catalog.project(page, page[-1].seq if page else 0)
    found = await contents(catalog, folder)
    await catalog.close()
    return found


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[DuckdbCatalog]:
    catalog = open_catalog(tmp_path / "catalog.duckdb")
    yield catalog
    await catalog.close()


EVERYTHING = record(*(event_of(kind) for kind in EVENTS), stored(1), stored(1, 2), stored(2))

OTHERS = [kind for kind in EVENTS if kind is not fact.SlideStored]


@st.composite
def histories(draw: st.DrawFn) -> list[fact.Event]:
    """Events of all kinds in any order; a revision is stored once, as the linking table sees to."""
    others = draw(st.lists(st.builds(event_of, st.sampled_from(OTHERS), st.integers(1, 3).map(pack_id)), max_size=20))
    revisions = draw(st.lists(st.tuples(st.integers(1, 2), st.integers(1, 3)), unique=True))
    return draw(st.permutations([*others, *(stored(*revision) for revision in revisions)]))


async def test_a_stored_slide_is_found_with_its_facts(catalog: DuckdbCatalog) -> None:
    facts = slide_facts(pack_id(1))
    await catalog.project(record(event_of(fact.SlideStored, facts=facts)), 1)
    (row,) = await catalog.slides()
    image = facts.image.model_dump()
    assert {name: row[name] for name in ("number", "revision", "pack", "batch", "size", "digest", "seconds", "anonymizer", "key")} == {
        **facts.model_dump(include={"number", "revision", "pack", "batch", "size", "digest", "seconds", "anonymizer"}),
        "key": "slides/123/123456789012/r1",
    }
    assert {name: row[name] for name in ("format", "extension", "compression", "mpp", "magnification", "icc")} == {
        name: image[name] for name in ("format", "extension", "compression", "mpp", "magnification", "icc")
    }
    assert (row["width"], row["height"], row["drop_name"]) == (2816, 2560, "scanner-a")
    assert (row["levels"], row["removed"]) == (list(image["levels"]), ["image:label", "key:User"])


async def test_times_are_utc_whatever_the_journal_wrote(catalog: DuckdbCatalog) -> None:
    elsewhere = START.astimezone(timezone(timedelta(hours=-7)))
    await catalog.project([Recorded(1, "id", elsewhere, stored(1))], 1)
    assert (await catalog.slides())[0]["stored"] == START.replace(tzinfo=None)


async def test_an_image_that_says_little_is_catalogued_with_gaps(catalog: DuckdbCatalog) -> None:
    facts = slide_facts(pack_id(1))
    bare = facts.model_copy(update={"image": facts.image.model_copy(update={"mpp": None, "magnification": None, "removed": ()})})
    await catalog.project(record(event_of(fact.SlideStored, facts=bare)), 1)
    (row,) = await catalog.slides()
    assert (row["mpp"], row["magnification"], row["removed"]) == (None, None, [])


async def test_slides_show_their_newest_revision_only(catalog: DuckdbCatalog) -> None:
    await catalog.project(record(stored(1), stored(2), stored(1, 3), stored(1, 2)), 4)
    assert [(row["number"], row["revision"]) for row in await catalog.slides()] == [("100000000001", 3), ("100000000002", 1)]


async def test_a_slide_shows_all_revisions_oldest_first(catalog: DuckdbCatalog) -> None:
    await catalog.project(record(stored(1, 2), stored(2), stored(1)), 3)
    assert [row["revision"] for row in await catalog.slide("100000000001")] == [1, 2]
    assert await catalog.slide("999999999999") == []


async def test_slides_are_paged_by_number(catalog: DuckdbCatalog) -> None:
    await catalog.project(record(*(stored(number) for number in (3, 1, 2, 4))), 4)
    first = await catalog.slides(limit=3)
    rest = await catalog.slides(after=first[-1]["number"])
    assert [row["number"][-1] for row in (*first, *rest)] == ["1", "2", "3", "4"]


async def test_slides_of_one_batch_are_found(catalog: DuckdbCatalog) -> None:
    await catalog.project(record(stored(1), stored(2, batch="b00000000002")), 2)
    assert [row["number"] for row in await catalog.slides(batch="b00000000002")] == ["100000000002"]


async def test_packs_and_batches_show_where_they_stand(catalog: DuckdbCatalog, tmp_path: Path) -> None:
    quarantined = event_of(fact.PackQuarantined, reason="two-images", detail="held")
    events = record(event_of(fact.BatchOpened), event_of(fact.PackArrived), quarantined, event_of(fact.BatchClosed))
    await catalog.project(events, 4)
    found = await contents(catalog, tmp_path)
    times = [event.time.replace(tzinfo=None) for event in events]
    assert found["packs"] == [(pack_id(1), "scanner-a", BATCH, "quarantined", "two-images", times[1], times[2])]
    assert found["batches"] == [(BATCH, "scanner-a", "closed", None, None, times[0], times[3])]


async def test_a_catalog_that_was_deleted_is_made_again_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    before = await project(path, tmp_path, EVERYTHING[:7], EVERYTHING[7:20], EVERYTHING[20:])
    path.unlink()
    assert await project(path, tmp_path, EVERYTHING) == before
    assert all(before[view] for view in VIEWS)


async def test_a_catalog_opened_again_is_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    before = await project(path, tmp_path, EVERYTHING)
    assert await project(path, tmp_path) == before
    catalog = open_catalog(path)
    assert await catalog.position() == len(EVERYTHING)
    await catalog.close()


async def test_events_projected_twice_count_once(tmp_path: Path) -> None:
    once = await project(tmp_path / "once.duckdb", tmp_path, EVERYTHING)
    assert await project(tmp_path / "twice.duckdb", tmp_path, EVERYTHING[:12], EVERYTHING, EVERYTHING) == once


async def test_the_position_never_goes_back(catalog: DuckdbCatalog) -> None:
    await catalog.project(EVERYTHING, len(EVERYTHING))
    await catalog.project(EVERYTHING[:3], 3)
    assert await catalog.position() == len(EVERYTHING)


async def test_a_page_without_events_moves_the_position(catalog: DuckdbCatalog) -> None:
    await catalog.project([], 5)
    assert await catalog.position() == 5


async def test_a_reset_catalog_is_empty_and_can_be_filled_again(catalog: DuckdbCatalog, tmp_path: Path) -> None:
    await catalog.project(EVERYTHING, len(EVERYTHING))
    before = await contents(catalog, tmp_path)
    await catalog.reset()
    assert await catalog.position() == 0
    assert await contents(catalog, tmp_path) == {view: [] for view in VIEWS}
    await catalog.project(EVERYTHING, len(EVERYTHING))
    assert await contents(catalog, tmp_path) == before


async def test_whoever_opens_a_publication_finds_it_whole_at_every_moment(catalog: DuckdbCatalog, tmp_path: Path) -> None:
    folder, copy = tmp_path / "published", tmp_path / "copy.parquet"
    await catalog.project(record(stored(1)), 1)
    await catalog.publish(folder)
    copies = (folder / "slides.parquet").read_bytes
    copying = asyncio.get_running_loop().run_in_executor(None, lambda: [copies() for _ in range(1000)])
    number = 1
    while not copying.done() or number < 5:
        number += 1
        await catalog.project(record(stored(number), after=number - 1), number)
        await catalog.publish(folder)
    rows = []
    for copied in dict.fromkeys(await copying):
        copy.write_bytes(copied)
        rows.append(len(read(copy)))
    assert rows == sorted(set(rows))
    assert set(rows) <= set(range(1, number + 1))
    assert sorted(file.name for file in folder.iterdir()) == sorted(f"{view}.parquet" for view in VIEWS)


async def test_a_reader_that_has_opened_a_publication_keeps_it(catalog: DuckdbCatalog, tmp_path: Path) -> None:
    await catalog.publish(tmp_path)
    with (tmp_path / "slides.parquet").open("rb") as opened:
        before = opened.read()
        await catalog.project(EVERYTHING, len(EVERYTHING))
        await catalog.publish(tmp_path)
        opened.seek(0)
        assert opened.read() == before


async def test_only_views_whose_table_changed_are_published_again(catalog: DuckdbCatalog, tmp_path: Path) -> None:
    await catalog.project(record(stored(1)), 1)
    await catalog.publish(tmp_path)
    for view in VIEWS:
        (tmp_path / f"{view}.parquet").write_bytes(b"as it was")
    (tmp_path / "revisions.parquet").unlink()
    await catalog.project(record(event_of(fact.BatchOpened), after=1), 2)
    await catalog.publish(tmp_path)
    assert {view for view in VIEWS if (tmp_path / f"{view}.parquet").read_bytes() != b"as it was"} == {"revisions", "batches"}


async def test_a_catalog_opened_again_publishes_everything_once(tmp_path: Path) -> None:
    (tmp_path / "slides.parquet").write_bytes(b"of an earlier catalog")
    await project(tmp_path / "catalog.duckdb", tmp_path)
    assert read(tmp_path / "slides.parquet") == []


async def test_many_slides_are_published_within_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    await DuckdbCatalog.open(path, memory_megabytes=64, threads=1).close()
    with duckdb.connect(str(path)) as connection:
        columns = "md5(i::VARCHAR) AS number, 1 AS revision, sha256(i::VARCHAR) AS digest, 'slides/' || sha256((-i)::VARCHAR) AS key"
        connection.execute(f"INSERT INTO stored_revisions BY NAME SELECT {columns} FROM range(400000) AS numbers(i)")
    catalog = DuckdbCatalog.open(path, memory_megabytes=64, threads=1)
    await catalog.publish(tmp_path)
    assert len(await catalog.slides(limit=7)) == 7
    await catalog.close()
    count = duckdb.connect().execute(f"SELECT count(*) FROM read_parquet('{tmp_path / 'slides.parquet'}')").fetchone()
    assert count == (400000,)


async def test_a_folder_with_a_quote_in_its_name_can_be_published_to(catalog: DuckdbCatalog, tmp_path: Path) -> None:
    await catalog.publish(tmp_path / "o'brien")
    assert len(list((tmp_path / "o'brien").iterdir())) == len(VIEWS)


async def test_an_unreadable_rest_of_a_publication_is_replaced(catalog: DuckdbCatalog, tmp_path: Path) -> None:
    (tmp_path / ".slides.parquet.part").write_bytes(b"cut short by a kill")
    await catalog.publish(tmp_path)
    assert read(tmp_path / "slides.parquet") == []


@given(histories(), st.integers(0, 25), st.integers(0, 25))
@settings(max_examples=6, deadline=None)
def test_however_a_history_is_paged_the_catalog_is_the_same(events: list[fact.Event], one: int, other: int) -> None:
    history = record(*events)
    low, high = sorted((one, other))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = asyncio.run(project(folder / "whole.duckdb", folder, history))
        assert asyncio.run(project(folder / "paged.duckdb", folder, history[:high], history[low:])) == whole


def test_reading_where_no_catalog_is_makes_none(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"no-catalog.*slidekeeper run"):
        DuckdbCatalog.open_read_only(tmp_path / "catalog.duckdb")
    assert list(tmp_path.iterdir()) == []


async def test_the_number_is_text_that_keeps_its_digits(catalog: DuckdbCatalog, tmp_path: Path) -> None:
    await catalog.project(record(event_of(fact.SlideStored)), 1)
    await catalog.publish(tmp_path)
    assert read(tmp_path / "slides.parquet")[0][0] == NUMBER
