"""Whoever waits for the catalog finds their slide in it; one projection serves many, and a foreign catalog is begun anew."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Unavailable
from slidekeeper.messages.commands import CatalogSlide
from slidekeeper.messages.events import SlideCatalogued
from slidekeeper.ports.journal import Recorded
from slidekeeper.steps.catalog import step as module
from slidekeeper.steps.catalog.step import CatalogStep
from steps.catalog.catalogued import ORDER, record_stored_slide


class CountingCatalog:
    """A real catalog that counts its transactions."""

    def __init__(self, catalog: DuckdbCatalog) -> None:
        self._catalog = catalog
        self.projections: list[int] = []
        self.trouble: Unavailable | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    async def project(self, events: Sequence[Recorded], position: int) -> None:
        if self.trouble:
            raise self.trouble
        self.projections.append(len(events))
        await self._catalog.project(events, position)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", SystemClock(), outbox=False)
    yield journal
    await journal.close()


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[CountingCatalog]:
    real = DuckdbCatalog.open(tmp_path / "catalog.duckdb", 96, 1)
    yield CountingCatalog(real)
    await real.close()


async def test_a_slide_is_in_the_catalog_when_the_step_says_so(journal: SqliteJournal, catalog: CountingCatalog) -> None:
    await record_stored_slide(journal, 1)
    done = await CatalogStep(catalog, journal).run(ORDER)
    assert done == SlideCatalogued(pack=ORDER.pack, number=ORDER.number, revision=1)
    (row,) = await catalog.slides()
    assert row["number"] == ORDER.number


async def test_many_who_wait_share_one_projection(journal: SqliteJournal, catalog: CountingCatalog) -> None:
    for seed in range(1, 11):
        await record_stored_slide(journal, seed)
    step = CatalogStep(catalog, journal)
    orders = [CatalogSlide(pack=f"{seed:016x}", number=str(10**11 + seed), revision=1) for seed in range(1, 11)]
    done = await asyncio.gather(*(step.run(order) for order in orders))
    assert [event.pack for event in done] == [order.pack for order in orders]
    assert len(catalog.projections) == 1
    assert len(await catalog.slides()) == 10


async def test_what_is_in_the_catalog_is_not_projected_again(journal: SqliteJournal, catalog: CountingCatalog) -> None:
    await record_stored_slide(journal, 1)
    await CatalogStep(catalog, journal).run(ORDER)
    await CatalogStep(catalog, journal).run(ORDER)
    assert len(catalog.projections) == 1


async def test_only_what_is_new_is_projected(journal: SqliteJournal, catalog: CountingCatalog) -> None:
    step = CatalogStep(catalog, journal)
    await record_stored_slide(journal, 1)
    await step.run(ORDER)
    await record_stored_slide(journal, 2)
    await step.run(ORDER)
    assert catalog.projections == [5, 5]


async def test_a_long_journal_is_projected_page_by_page(
    journal: SqliteJournal, catalog: CountingCatalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    for seed in range(1, 3):
        await record_stored_slide(journal, seed)
    await CatalogStep(catalog, journal).run(ORDER)
    assert catalog.projections == [4, 4, 2]
    assert len(await catalog.slides()) == 2


async def test_a_catalog_that_knows_more_than_the_journal_is_begun_anew(journal: SqliteJournal, catalog: CountingCatalog) -> None:
    await catalog.project([], 1000)
    await record_stored_slide(journal, 1)
    await CatalogStep(catalog, journal).run(ORDER)
    assert await catalog.position() == 5
    assert len(await catalog.slides()) == 1


async def test_what_a_full_disk_kept_out_of_the_catalog_is_projected_when_it_goes_on(
    journal: SqliteJournal, catalog: CountingCatalog
) -> None:
    await record_stored_slide(journal, 1)
    step = CatalogStep(catalog, journal)
    catalog.trouble = Unavailable("state", "catalog")
    with pytest.raises(Unavailable):
        await step.run(ORDER)
    catalog.trouble = None
    await step.run(ORDER)
    assert len(await catalog.slides()) == 1


async def test_a_catalog_that_was_begun_anew_is_filled_again_whoever_found_the_damage(
    journal: SqliteJournal, catalog: CountingCatalog
) -> None:
    step = CatalogStep(catalog, journal)
    await record_stored_slide(journal, 1)
    await step.run(ORDER)
    await catalog.reset()
    await step.catch_up(await journal.head())
    assert len(await catalog.slides()) == 1
