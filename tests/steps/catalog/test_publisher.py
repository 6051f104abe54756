"""The catalog is published when it changed, whole, and not more often than the site asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Temporary, Unavailable
from slidekeeper.steps.catalog.publisher import Publisher
from slidekeeper.steps.catalog.step import CatalogStep
from steps.catalog.catalogued import record_stored_slide


class Press:
    """A journal, a catalog and a publisher; counts publications."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder = folder / "published"
        self.journal = SqliteJournal.open(folder / "journal.sqlite", SystemClock(), outbox=False)
        self.catalog = DuckdbCatalog.open(folder / "catalog.duckdb", 96, 1)
        self.times: list[float] = []
        self.trouble: Temporary | Unavailable | None = None
        self._publish, self.catalog.publish = self.catalog.publish, self.publish  # type: ignore[method-assign]
        step = CatalogStep(self.catalog, self.journal)
        self.publisher = Publisher(self.catalog, step, self.journal.head, self.folder, seconds)

    async def publish(self, folder: Path) -> None:
        begun = asyncio.get_running_loop().time()
        try:
            if self.trouble:
                raise self.trouble
            await self._publish(folder)
        finally:
            self.times.append(begun)

    async def run_until(self, publications: int) -> None:
        """Run the publisher until it published so often."""
        task = asyncio.create_task(self.publisher.run())
        async with asyncio.timeout(60):
            while len(self.times) < publications and not task.done():
                await asyncio.sleep(0.005)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def numbers(self) -> list[int]:
        """Slide numbers that researchers can read."""
        (slides,) = self.folder.glob("*slides*.parquet")
        return sorted(int(row[0]) for row in duckdb.sql(f"SELECT number FROM '{slides}'").fetchall())


@pytest.fixture
async def press(tmp_path: Path) -> AsyncIterator[Press]:
    press = Press(tmp_path, 0.05)
    yield press
    await press.catalog.close()
    await press.journal.close()


async def test_what_the_journal_holds_can_be_read_as_parquet(press: Press) -> None:
    await record_stored_slide(press.journal, 7)
    await press.publisher.publish_now()
    assert press.numbers() == [10**11 + 7]
    assert not list(press.folder.glob(".*"))


async def test_an_empty_catalog_is_published_too(press: Press) -> None:
    await press.publisher.publish_now()
    assert press.numbers() == []


async def test_nothing_new_is_not_published_again(press: Press) -> None:
    await press.publisher.publish_now()
    await press.publisher.publish_now()
    assert len(press.times) == 1


async def test_many_changes_become_one_publication(press: Press) -> None:
    await press.publisher.publish_now()
    for seed in range(20):
        await record_stored_slide(press.journal, seed)
    await press.publisher.publish_now()
    assert (len(press.times), len(press.numbers())) == (2, 20)


async def test_publications_keep_the_distance_that_was_asked_for(press: Press) -> None:
    running = asyncio.create_task(press.run_until(3))
    seed = 0
    while not running.done():
        await record_stored_slide(press.journal, seed := seed + 1)
        await asyncio.sleep(0.001)
    await running
    assert seed > 3
    assert all(later - earlier >= 0.05 for earlier, later in zip(press.times, press.times[1:], strict=False))


async def test_a_full_disk_is_waited_out(press: Press) -> None:
    press.trouble = Unavailable("state", "catalog")
    await press.run_until(2)
    press.trouble = None
    await press.run_until(3)
    assert press.numbers() == []


async def test_what_cannot_be_published_when_the_daemon_stops_does_not_hinder_it(press: Press) -> None:
    press.trouble = Unavailable("bucket", "records-missing")
    await press.publisher.publish_if_possible()
    press.trouble = None
    await press.publisher.publish_if_possible()
    assert press.numbers() == []


async def test_a_damaged_catalog_is_made_again_and_published(press: Press) -> None:
    await record_stored_slide(press.journal, 7)
    press.trouble = Temporary("catalog-damaged")
    await press.run_until(2)
    press.trouble = None
    await press.run_until(3)
    assert press.numbers() == [10**11 + 7]
