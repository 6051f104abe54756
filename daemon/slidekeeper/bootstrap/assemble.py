"""Wires ports to adapters and steps to commands, once, at start."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from slidekeeper import __version__
from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.hints import InotifyHints, NoHints
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.mounts import is_local
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.drop.scan import TreeScan
from slidekeeper.adapters.executor.processes import ProcessExecutor
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.linking.keys import load_key
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.adapters.mqtt.broker import MqttBroker
from slidekeeper.adapters.readers.independent import IndependentReader
from slidekeeper.adapters.search.hyperscan_search import HyperscanFactory
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.api.app import create_app
from slidekeeper.api.server import ApiServer, bind_socket
from slidekeeper.bootstrap.places import Layout, prepare_identified, probe_folder
from slidekeeper.bootstrap.records import RecordsServices, Shared, open_records, probe_reports
from slidekeeper.bootstrap.training import TrainingServices, open_training
from slidekeeper.engine.desk import DaemonDesk, Live
from slidekeeper.engine.engine import Engine
from slidekeeper.engine.heartbeat import LagMeter
from slidekeeper.engine.lane import LaneSpec
from slidekeeper.engine.relay import Relay
from slidekeeper.errors import Unavailable
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.messages.commands import SettlePack
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.ports.formats import Choices
from slidekeeper.settings.loader import Settings
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.anonymize.request import Tools
from slidekeeper.steps.anonymize.step import AnonymizeStep
from slidekeeper.steps.anonymize.wholeness import Wholeness
from slidekeeper.steps.catalog.publisher import Publisher
from slidekeeper.steps.catalog.step import CatalogStep
from slidekeeper.steps.intake.release import ReleaseStep
from slidekeeper.steps.intake.service import Intake
from slidekeeper.steps.intake.watcher import WatchedDrop
from slidekeeper.steps.store.step import StoreStep
from slidekeeper.steps.withdrawal.service import Withdrawals
from slidekeeper.workflow.retry import RetryPolicy, Suspend

STORE_WIDTH = 4
CATALOG_WIDTH = 64
"""Catalog commands mostly wait for the same projection."""
RELEASE_WIDTH = 4
SETTLE_WIDTH = 8

PRELOAD = (
    "slidekeeper.steps.anonymize.job",
    "slidekeeper.steps.anonymize.wholeness",
    "slidekeeper.formats.registry",
    "slidekeeper.adapters.bucket.posix",
    "slidekeeper.adapters.drop.posix",
    "slidekeeper.adapters.readers.independent",
    "slidekeeper.adapters.search.hyperscan_search",
)
"""What workers need, imported once by the fork server."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The databases and the bucket."""

    journal: SqliteJournal
    catalog: DuckdbCatalog
    linking: SqliteLinking
    known: SqliteKnownFiles
    bucket: PosixBucket


@dataclass(frozen=True, slots=True)
class Parts:
    """A daemon, assembled."""

    stores: Stores
    executor: ProcessExecutor
    engine: Engine
    intake: Intake
    publisher: Publisher
    relay: Relay | None
    lag: LagMeter
    api: ApiServer
    withdrawals: Withdrawals
    records: RecordsServices | None
    training: TrainingServices


async def assemble(settings: Settings, stack: AsyncExitStack) -> Parts:
    """Open everything; ``stack`` closes it again, in reverse order.

    Raises:
        Refused: a key, a permission or a database is not as it must be.
    """
    clock, withdrawn = SystemClock(), Withdrawn()
    stores = await open_stores(settings, stack, clock)
    executor = ProcessExecutor(settings.engine.workers, settings.anonymize.memory_megabytes, PRELOAD)
    stack.push_async_callback(executor.close)
    drops = {name: posix_drop(name, drop) for name, drop in settings.drop.items()}
    catalog_step = CatalogStep(stores.catalog, stores.journal)
    publisher = Publisher(stores.catalog, catalog_step, stores.journal.head, Layout(settings).published, settings.catalog.publish_seconds)
    intake: Intake

    async def settle(command: SettlePack) -> None:
        await intake.settle(command)

    async def catch_up() -> None:
        await catalog_step.catch_up(await stores.journal.head())

    async def suspend(away: Unavailable) -> None:
        await engine.places.suspend(Suspend(away.place, away.reason, away.detail))

    shared = Shared(stores.bucket, stores.catalog, stores.linking, stores.journal)
    records = await open_records(settings, stack, Layout(settings).index, shared, catch_up)
    training = open_training(settings, stores.journal, lambda event: engine.submit(event))  # noqa: PLW0108 - there is no engine yet
    lanes = [
        LaneSpec("settle", settle, SETTLE_WIDTH),
        *_image_lanes(settings, stores, drops, executor, withdrawn),
        LaneSpec("catalog", catalog_step.run, CATALOG_WIDTH, ("state",)),
        *(records.lanes if records else ()),
        *training.lanes,
    ]
    probes = {**_probes(settings, stores.bucket, drops), **training.probes}
    engine = Engine(stores.journal, lanes, probes, clock, _policy(settings), settings.engine.probe_seconds)
    wholeness = Wholeness(drops, SupportedFormats(), executor, settings.anonymize.timeout_seconds)
    watched = {name: _watched(drops[name], drop, Layout(settings).index) for name, drop in settings.drop.items()}
    intake = Intake(watched, stores.known, stores.journal, engine.submit, wholeness.missing, suspend, clock)
    unstage = training.staging.withdrawals.remove
    withdrawals = _withdrawals(settings, stores, engine, catch_up, publisher.publish_now, withdrawn, unstage)
    services = records.services(shared, engine, suspend, clock, settings.catalog.publish_seconds) if records else None
    trained = training.services(engine, stores.catalog, publisher.publish_now, suspend, withdrawn)
    lag = LagMeter(clock)
    outbox, waiting = stores.journal if settings.mqtt.host else None, services.intake.waiting if services else {}
    live = Live(engine, outbox, lag, intake.status, intake.close_batch, waiting, withdrawals.order, trained.orders)
    server, relay = _open_door(settings, stack, stores, live), _relay(settings, stores.journal, engine)
    return Parts(stores, executor, engine, intake, publisher, relay, lag, server, withdrawals, services, trained)


def _withdrawals(
    settings: Settings,
    stores: Stores,
    engine: Engine,
    catch_up: Callable[[], Awaitable[None]],
    publish: Callable[[], Awaitable[None]],
    withdrawn: Withdrawn,
    unstage: Callable[[Sequence[SlideNumber]], Awaitable[int]],
) -> Withdrawals:
    """What carries out withdrawals of consent."""
    versions = PosixVersions(settings.bucket.path, settings.bucket.mount)
    places = (stores.journal, stores.catalog, stores.bucket, stores.linking, versions)
    return Withdrawals(*places, engine.submit, catch_up, publish, withdrawn, unstage)


def _open_door(settings: Settings, stack: AsyncExitStack, stores: Stores, live: Live) -> ApiServer:
    """The socket, and the front desk behind it."""
    desk = DaemonDesk(stores.journal, stores.catalog, settings.site.name, Layout(settings).disks, live)
    door = stack.enter_context(bind_socket(settings.api.socket, int(settings.api.socket_mode, 8)))
    return ApiServer(create_app(desk), door)


def _image_lanes(
    settings: Settings, stores: Stores, drops: Mapping[str, PosixDrop], executor: ProcessExecutor, withdrawn: Withdrawn
) -> list[LaneSpec]:
    """The lanes of a pack that has settled."""
    choices = Choices(keep_thumbnail=settings.anonymize.keep_thumbnail)
    pixels = settings.anonymize.thumbnail_pixels
    tools = Tools(stores.bucket, SupportedFormats(), HyperscanFactory(), IndependentReader(), pixels, choices)
    anonymize = AnonymizeStep(
        drops, settings.drop, stores.known, stores.linking, stores.journal, executor, tools, settings.anonymize, __version__
    )
    release = ReleaseStep(drops, settings.drop, stores.known, stores.bucket)
    return [
        LaneSpec("anonymize", anonymize.run, settings.engine.workers + 1, ("bucket", "state")),
        LaneSpec("store", StoreStep(stores.bucket, withdrawn).run, STORE_WIDTH, ("bucket",)),
        LaneSpec("release", release.run, RELEASE_WIDTH),
    ]


async def open_stores(settings: Settings, stack: AsyncExitStack, clock: SystemClock) -> Stores:
    """Open the databases; the key is checked first, so that nothing is touched with a wrong one."""
    layout = Layout(settings)
    key = load_key(settings.site.key, os.environ)
    prepare_identified(layout)
    linking = SqliteLinking.open(layout.linking, key)
    stack.push_async_callback(linking.close)
    known = SqliteKnownFiles(layout.index)
    stack.push_async_callback(known.close)
    journal = SqliteJournal.open(layout.journal, clock, outbox=bool(settings.mqtt.host))
    stack.push_async_callback(journal.close)
    catalog = DuckdbCatalog.open(layout.catalog, settings.catalog.memory_megabytes, settings.catalog.threads, settings.bucket.path)
    stack.push_async_callback(catalog.close)
    bucket = PosixBucket(settings.bucket.path, settings.bucket.mount, settings.bucket.reserve_bytes)
    return Stores(journal, catalog, linking, known, bucket)


def posix_drop(name: str, settings: DropSettings) -> PosixDrop:
    """The drop folder of one settings section."""
    return PosixDrop(name, settings.path, settings.mount, settings.sentinel)


def _watched(drop: PosixDrop, settings: DropSettings, index: Path) -> WatchedDrop:
    hinted = settings.watch == "inotify" or (settings.watch == "auto" and is_local(settings.path))
    hints = InotifyHints(settings.path) if hinted else NoHints()
    return WatchedDrop(drop, TreeScan(drop, index, settings.ignore), hints, settings)


def _probes(settings: Settings, bucket: PosixBucket, drops: Mapping[str, PosixDrop]) -> Mapping[str, Callable[[], None]]:
    probes: dict[str, Callable[[], None]] = {f"drop:{name}": drop.check_available for name, drop in drops.items()}
    probes |= {"drop:records": PosixDrop("records", settings.records.path).check_available}
    probes |= {"records-reports": lambda: probe_reports(settings.records.reports)}
    return {"bucket": bucket.probe, "state": lambda: probe_folder(settings.site.state), **probes}


def _policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(attempts=settings.engine.attempts, first_delay=settings.engine.retry_seconds)


def _relay(settings: Settings, journal: SqliteJournal, engine: Engine) -> Relay | None:
    if not settings.mqtt.host:
        return None
    mqtt = settings.mqtt
    broker = MqttBroker(mqtt.host, mqtt.port, f"slidekeeper-{settings.site.name}")
    return Relay(journal, broker, engine.committed, settings.site.name, mqtt.prefix, mqtt.reconnect_seconds)
