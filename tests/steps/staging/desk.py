"""Staging with a real journal, tier, bucket and published catalog, without a daemon around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from adapters.tier.tier_site import TierSite
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.query.cohorts import DuckdbCohorts
from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.adapters.stagings.plan_files import PlanFiles
from slidekeeper.messages.commands import RemoveStaging, StageCohort
from slidekeeper.messages.events import StagingCompleted, StagingQuarantined, StagingRemoved
from slidekeeper.model.manifest import StagedImage
from slidekeeper.ports.journal import StagingRow
from slidekeeper.settings.training import TierSettings
from slidekeeper.steps.staging.ordering import Stagings
from slidekeeper.steps.staging.running import Running
from slidekeeper.steps.staging.step import StageStep, StagingPorts, UnstageStep


@dataclass
class StagingDesk:
    """All parts, and what a lane would do with them."""

    site: TierSite
    journal: SqliteJournal
    ports: StagingPorts
    stagings: Stagings

    @property
    def published(self) -> Path:
        return self.site.root / "published"

    def publish(self, images: Sequence[StagedImage]) -> None:
        """Let the catalog know these slides."""
        self.published.mkdir(exist_ok=True)
        common = {"batch": "b", "key": "k", "format": "aperio", "magnification": 40.0, "mpp": 0.25, "stored": "2026-01-01"}
        slides = pl.DataFrame([{**common, **image.model_dump(), "levels": [1], "removed": ["a"]} for image in images])
        slides.write_parquet(self.published / "slides.parquet")
        of_cohort = [*common, "revision", "size"]
        cohort = slides.select(pl.col("number").alias("slide_number"), *of_cohort, pl.lit("7").alias("case_number"))
        cohort.write_parquet(self.published / "cohort.parquet")

    async def order(self, name: str = "cohort", where: str = "true", numbers: Sequence[str] = ()) -> StagingRow:
        return await self.stagings.order(name, "flash", "" if numbers else where, numbers, "me")

    async def carry_out(self, row: StagingRow) -> StagingCompleted | None:
        """What the lane does: run the step, and commit what it returns."""
        event = await StageStep(self.ports).run(StageCohort(staging=row.staging))
        if event:
            await self.journal.commit(event)
        return event

    async def remove(self, row: StagingRow) -> StagingRemoved | None:
        """The same for the removal."""
        event = await UnstageStep(self.ports).run(RemoveStaging(staging=row.staging))
        if event:
            await self.journal.commit(event)
        return event

    async def hold(self, row: StagingRow) -> None:
        await self.journal.commit(StagingQuarantined(staging=row.staging, step="stage", reason="slide-missing"))

    async def until_copying(self, row: StagingRow) -> None:
        """Wait until some bytes are copied."""
        while not ((progress := self.ports.running.progress(row.staging)) and progress.copied):
            await asyncio.sleep(0.01)


@asynccontextmanager
async def staging_desk(root: Path, **settings: Any) -> AsyncIterator[StagingDesk]:
    site = TierSite.create(root)
    journal = SqliteJournal.open(root / "journal.sqlite", SystemClock(), outbox=False)
    catalog = DuckdbCatalog.open(root / "catalog.duckdb", 96, 1)
    cohorts = DuckdbCohorts(DuckdbQuery(root / "published", 256, 20))
    tier = TierSettings(path=root / "flash", **settings)
    ports = StagingPorts(journal, PlanFiles(root / "stagings"), cohorts, {"flash": site.tier}, {"flash": tier}, Running())

    async def publish() -> None:
        """It is published already."""

    try:
        yield StagingDesk(site, journal, ports, Stagings(ports, catalog, publish, journal.commit, SystemClock(), "site"))
    finally:
        await catalog.close()
        await journal.close()
