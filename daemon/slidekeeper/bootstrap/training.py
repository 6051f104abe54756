"""Wires the training half of the workflow: stagings, runs, the version store, and the replicas that follow all of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.bootstrap.protection import Protection, open_protection
from slidekeeper.bootstrap.replicas import replicas
from slidekeeper.bootstrap.runs import Runs, RunsServices, open_runs
from slidekeeper.bootstrap.staging import Staging, StagingServices, open_staging
from slidekeeper.bootstrap.versions import VersionServices, version_services
from slidekeeper.engine.desk import TrainingOrders
from slidekeeper.engine.engine import Engine
from slidekeeper.engine.lane import LaneSpec
from slidekeeper.errors import Unavailable
from slidekeeper.messages.events import Event
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.journal import Journal
from slidekeeper.settings.loader import Settings
from slidekeeper.steps.replica.service import Replica

Report = Callable[[Event], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Training:
    """The training half, before the engine is there to report to."""

    settings: Settings
    journal: Journal
    staging: Staging
    runs: Runs
    protection: Protection

    @property
    def lanes(self) -> Sequence[LaneSpec]:
        """What carries out its commands."""
        return [*self.staging.lanes, self.protection.lane, *self.runs.lanes]

    @property
    def probes(self) -> Mapping[str, Callable[[], None]]:
        """How to find out that tiers and roots can be used again."""
        return {**self.staging.probes, **self.runs.probes}

    def services(
        self,
        engine: Engine,
        catalog: Catalog,
        publish: Callable[[], Awaitable[None]],
        suspend: Callable[[Unavailable], Awaitable[None]],
        withdrawn: Withdrawn,
    ) -> TrainingServices:
        """What runs in the background and takes orders; ``publish`` brings the published catalog up to the journal."""
        clock = SystemClock()
        return TrainingServices(
            self.staging.services(engine, catalog, publish, clock),
            self.runs.services(engine, suspend, clock),
            version_services(self.settings, self.journal, engine.submit),
            replicas(self.settings, self.journal, withdrawn, engine.committed),
            self.protection,
        )


@dataclass(frozen=True, slots=True)
class TrainingServices:
    """What of the training half runs in the background or takes orders."""

    staging: StagingServices
    runs: RunsServices
    versions: VersionServices
    replicas: Sequence[Replica]
    protection: Protection

    @property
    def orders(self) -> TrainingOrders:
        """For the front desk."""
        roots, lag = self.runs.intake.status, [replica.status for replica in self.replicas]
        return TrainingOrders(self.staging.stagings, self.runs.desk, self.versions.orders, roots, lag)

    @property
    def tasks(self) -> Sequence[tuple[str, Coroutine[Any, Any, None]]]:
        """Names and coroutines."""
        following = [(f"replica {number}", replica.run()) for number, replica in enumerate(self.replicas)]
        return [*self.staging.tasks, *self.runs.tasks, *self.versions.tasks, *following]


def open_training(settings: Settings, journal: Journal, report: Report) -> Training:
    """Wire all that needs no engine; ``report`` journals what site scripts say."""
    return Training(
        settings, journal, open_staging(settings, journal), open_runs(settings, journal, report), open_protection(settings, journal)
    )
