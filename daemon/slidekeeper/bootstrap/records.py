"""Wires the records workflow: its folder, contracts, index, worker, and the steps that load and align."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from slidekeeper import __version__
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.deliveries import SqliteKnownRecords
from slidekeeper.adapters.drop.hints import InotifyHints, NoHints
from slidekeeper.adapters.drop.mounts import is_local
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.executor.processes import ProcessExecutor
from slidekeeper.adapters.reports.csv_reports import CsvReports
from slidekeeper.adapters.scratch import MemoryScratch
from slidekeeper.adapters.tables.duckdb_csv import DuckdbCsvReader
from slidekeeper.engine.engine import Engine
from slidekeeper.engine.lane import LaneSpec
from slidekeeper.errors import SettingsError, Unavailable
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.records import RecordsId
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.journal import Journal
from slidekeeper.ports.linking import Linking
from slidekeeper.ports.names import NamesModel
from slidekeeper.settings.contracts import load_contracts
from slidekeeper.settings.loader import Settings
from slidekeeper.settings.sections import UNFINISHED
from slidekeeper.steps.alignment.realigner import Realigner
from slidekeeper.steps.alignment.step import AlignStep, Session
from slidekeeper.steps.records.intake import RecordsIntake, WatchedRecords
from slidekeeper.steps.records.step import LoadStep

PLACE = "records"
"""The records folder's name among the drop folders: its place is ``drop:records``."""
CatchUp: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shared:
    """What both workflows use."""

    bucket: Bucket
    catalog: Catalog
    linking: Linking
    journal: Journal


@dataclass(frozen=True, slots=True)
class Records:
    """The records workflow, before the engine is there to report to."""

    drop: PosixDrop
    known: SqliteKnownRecords
    load: LoadStep
    align: AlignStep

    @property
    def lanes(self) -> Sequence[LaneSpec]:
        """One batch's records at a time: a table of a million rows takes much of a machine's memory."""
        return [
            LaneSpec("load", self.load.run, 1, ("bucket", "state", f"drop:{PLACE}", "records-reports")),
            LaneSpec("align", self.align.run, 1, ("bucket", "state", "records-reports")),
        ]

    def services(
        self, shared: Shared, engine: Engine, suspend: Callable[[Unavailable], Awaitable[None]], clock: SystemClock, seconds: float
    ) -> RecordsServices:
        """What runs in the background; made in the event loop. Late slides are looked for every so many seconds."""
        hints = InotifyHints(self.drop.root) if is_local(self.drop.root) else NoHints()
        watched = WatchedRecords(self.drop, lambda: list(self.drop.walk(UNFINISHED)), hints, self.load.settings, self.load.contracts)
        intake = RecordsIntake(watched, self.known, shared.journal, engine.submit, suspend, clock)
        catch_up = self.align.catch_up
        realigner = Realigner(shared.journal, shared.catalog, shared.linking, self.known, engine.submit, catch_up, seconds)
        return RecordsServices(intake, realigner)


@dataclass(frozen=True, slots=True)
class RecordsServices:
    """What of the records workflow runs in the background."""

    intake: RecordsIntake
    realigner: Realigner

    @property
    def tasks(self) -> Sequence[tuple[str, Coroutine[Any, Any, None]]]:
        """Their names and coroutines."""
        return [("records", self.intake.run()), ("realigner", self.realigner.run())]


async def open_records(settings: Settings, stack: AsyncExitStack, index: Path, shared: Shared, catch_up: CatchUp) -> Records | None:
    """Open the records workflow, or return None for a site without contracts; ``stack`` closes it again.

    Raises:
        SettingsError: a contract is wrong.
    """
    folder = settings.records.contracts
    if not folder.is_dir() or not any(folder.glob("*.toml")):
        return None
    contracts = load_contracts(folder)
    clock = SystemClock()
    known = SqliteKnownRecords(index)
    stack.push_async_callback(known.close)
    executor = ProcessExecutor(1, settings.records.memory_megabytes, (), jobs_per_worker=1)
    stack.push_async_callback(executor.close)
    drop = PosixDrop(PLACE, settings.records.path)
    reports = CsvReports(settings.records.reports)
    model = names_model(settings.records.names_model)
    load = LoadStep(
        drop,
        contracts,
        known,
        shared.linking,
        executor,
        DuckdbCsvReader(),
        shared.bucket,
        reports,
        settings.records,
        clock,
        shared.journal,
        __version__,
        MemoryScratch(),
        model,
    )

    async def session(records: RecordsId) -> Session:
        files = await known.find(records)
        name = files.folder.reveal() if files else b""
        return Session(Concealed(name), await known.batches(name) if files else ())

    return Records(drop, known, load, AlignStep(shared.bucket, shared.catalog, shared.linking, reports, session, catch_up))


def names_model(pipeline: str) -> NamesModel | None:
    """The optional model that looks for names.

    Raises:
        SettingsError: it is wanted, but spaCy is not installed.
    """
    if not pipeline:
        return None
    try:
        from slidekeeper.adapters.names.spacy_names import SpacyNames  # noqa: PLC0415 - an optional extra
    except ImportError:
        detail = "records.names_model: spaCy is not installed"
        raise SettingsError("wrong-settings", detail, "Install the extra `text`, or leave names_model empty") from None
    return SpacyNames(pipeline)


def probe_reports(folder: Path) -> None:
    """Prove that the hospital's reports can be written.

    Raises:
        Unavailable: they cannot.
    """
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        raise Unavailable("records-reports", "reports", errno.errorcode.get(error.errno or 0, "OSError")) from None
