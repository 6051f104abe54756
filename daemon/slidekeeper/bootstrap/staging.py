"""Wires staging: tiers, plans, the steps that copy and remove, and what orders stagings by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.query.cohorts import DuckdbCohorts
from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.adapters.stagings.plan_files import PlanFiles
from slidekeeper.adapters.tier.posix import PosixTier
from slidekeeper.bootstrap.places import Layout
from slidekeeper.engine.engine import Engine
from slidekeeper.engine.lane import LaneSpec
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.journal import Journal
from slidekeeper.ports.tier import Finding
from slidekeeper.settings.loader import Settings
from slidekeeper.settings.training import TierSettings
from slidekeeper.steps.staging.automatic import AutoStaging
from slidekeeper.steps.staging.ordering import Stagings
from slidekeeper.steps.staging.running import Running
from slidekeeper.steps.staging.step import StageStep, StagingPorts, UnstageStep
from slidekeeper.steps.staging.withdrawal import StagedWithdrawals

STAGE_WIDTH = 2
"""A small staging need not wait for a large one."""
UNSTAGE_WIDTH = 2


@dataclass(frozen=True, slots=True)
class Staging:
    """Staging, before the engine is there to report to."""

    ports: StagingPorts
    settings: Settings

    @property
    def lanes(self) -> Sequence[LaneSpec]:
        """What tiers they need the steps find out: one that is away must not hold up the others."""
        return [
            LaneSpec("stage", StageStep(self.ports).run, STAGE_WIDTH, ("bucket", "state")),
            LaneSpec("unstage", UnstageStep(self.ports).run, UNSTAGE_WIDTH, ("state",)),
        ]

    @property
    def probes(self) -> Mapping[str, Callable[[], None]]:
        """How to find out that a tier can be used again."""
        return {f"tier:{name}": tier.probe for name, tier in self.ports.tiers.items()}

    @property
    def withdrawals(self) -> StagedWithdrawals:
        """What removes withdrawn slides from stagings."""
        return StagedWithdrawals(self.ports)

    def services(self, engine: Engine, catalog: Catalog, publish: Callable[[], Awaitable[None]], clock: SystemClock) -> StagingServices:
        """What takes orders; ``publish`` brings the published catalog up to the journal."""
        stagings = Stagings(self.ports, catalog, publish, engine.submit, clock, self.settings.site.name)
        seconds = self.settings.catalog.publish_seconds
        return StagingServices(stagings, AutoStaging(self.ports.journal, stagings, self.settings.staging, seconds), self.ports.running)


@dataclass(frozen=True, slots=True)
class StagingServices:
    """What of staging runs in the background or takes orders."""

    stagings: Stagings
    automatic: AutoStaging
    running: Running

    @property
    def tasks(self) -> Sequence[tuple[str, Coroutine[Any, Any, None]]]:
        """Their names and coroutines."""
        return [("auto-staging", self.automatic.run())]


def open_staging(settings: Settings, journal: Journal) -> Staging:
    """Wire all that needs no engine."""
    layout, catalog = Layout(settings), settings.catalog
    query = DuckdbQuery(layout.published, catalog.query_memory_megabytes, catalog.query_seconds)
    ports = StagingPorts(journal, PlanFiles(layout.stagings), DuckdbCohorts(query), tiers(settings), settings.tier, Running())
    return Staging(ports, settings)


def tiers(settings: Settings) -> Mapping[str, PosixTier]:
    """Every tier of the settings by its name."""
    bucket = PosixBucket(settings.bucket.path, settings.bucket.mount)

    def tier(name: str, section: TierSettings) -> PosixTier:
        mirrors = settings.protection.replicas
        there = partial(bucket.has, "slides")
        return PosixTier(name, section.path, bucket.root, mirrors, section.mount, section.reserve_bytes, there)

    return {name: tier(name, section) for name, section in settings.tier.items()}


def verify_staging(root: Path, name: str, exact: bool) -> Sequence[Finding]:
    """Compare a staging with its manifest, with nothing but the tier's folder."""
    return PosixTier("", root, root).verify(name, exact)
