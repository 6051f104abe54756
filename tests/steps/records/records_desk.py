"""The steps behind intake on real databases and a real bucket, in one process: what intake settled is loaded, aligned, withdrawn."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.deliveries import SqliteKnownRecords
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.linking.keys import Key
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.adapters.reports.csv_reports import CsvReports
from slidekeeper.adapters.scratch import MemoryScratch
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.adapters.tables.duckdb_csv import DuckdbCsvReader
from slidekeeper.messages.commands import AlignRecords, LoadRecords
from slidekeeper.messages.events import (
    BatchClosed,
    BatchOpened,
    PackArrived,
    PackSettled,
    RecordsArrived,
    RecordsSettled,
    SlideAnonymized,
    SlideStored,
)
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.identity import BatchId, SlideNumber
from slidekeeper.model.phi import Barcode, RecordsFiles, RelativePath
from slidekeeper.model.records import RecordsId
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.settings.contracts import contract_templates, load_contracts
from slidekeeper.settings.sections import RecordsSettings
from slidekeeper.steps.alignment.realigner import Realigner
from slidekeeper.steps.alignment.step import AlignStep, Session
from slidekeeper.steps.catalog.step import CatalogStep
from slidekeeper.steps.records.assembly import delivered
from slidekeeper.steps.records.step import LoadStep
from slidekeeper.steps.withdrawal.service import Withdrawals
from writers.events import pack_id, slide_facts

A = TypeVar("A")
R = TypeVar("R")

SESSION, BATCH, RECORDS = b"monday", BatchId("b00000000001"), RecordsId("c00000000001")


class InProcess:
    """An executor without processes: jobs are pure functions, so where they run changes nothing."""

    async def run(self, job: Callable[[A], R], argument: A, timeout_seconds: float) -> R:
        return job(argument)

    async def close(self) -> None:
        """Nothing to end."""


class RecordsDesk:
    """One site between intake and the catalog."""

    def __init__(self, root: Path, stack: AsyncExitStack) -> None:
        for name in ("identified", "bucket", "records", "contracts"):
            (root / name).mkdir(exist_ok=True, mode=0o700)
        for name, template in contract_templates().items():
            (root / "contracts" / name).write_text(template.read_text())
        self.root = root
        self.journal = SqliteJournal.open(root / "journal.sqlite", SystemClock(), outbox=False)
        self.linking = SqliteLinking.open(root / "identified" / "linking.sqlite", Key(bytes(range(32))))
        self.files = SqliteKnownFiles(root / "identified" / "intake.sqlite")
        self.known = SqliteKnownRecords(root / "identified" / "intake.sqlite")
        self.catalog = DuckdbCatalog.open(root / "catalog.duckdb", 96, 1, root / "bucket")
        for part in (self.journal, self.linking, self.files, self.known, self.catalog):
            stack.push_async_callback(part.close)
        self.bucket = PosixBucket(root / "bucket")
        self.reports = CsvReports(root / "reports")
        self.contracts = load_contracts(root / "contracts")
        self.drop = PosixDrop("records", root / "records")
        self.withdrawn = Withdrawn()
        self._catalog_step = CatalogStep(self.catalog, self.journal)
        self.load_step = LoadStep(
            self.drop,
            self.contracts,
            self.known,
            self.linking,
            InProcess(),
            DuckdbCsvReader(),
            self.bucket,
            self.reports,
            RecordsSettings(),
            SystemClock(),
            self.journal,
            "0.1.0",
            MemoryScratch(),
        )
        self.align_step = AlignStep(self.bucket, self.catalog, self.linking, self.reports, self._session, self.catch_up)
        self.realigner = Realigner(self.journal, self.catalog, self.linking, self.known, self.journal.commit, self.catch_up, 0.01)
        self.withdrawals = Withdrawals(
            self.journal,
            self.catalog,
            self.bucket,
            self.linking,
            PosixVersions(self.bucket.root),
            self.journal.commit,
            self.catch_up,
            self.publish,
            self.withdrawn,
            self.unstage,
        )

    async def unstage(self, slides: Sequence[SlideNumber]) -> int:
        """Nothing is staged here."""
        return 0

    async def catch_up(self) -> None:
        """Bring the catalog up to the journal."""
        await self._catalog_step.catch_up(await self.journal.head())

    async def publish(self) -> None:
        """Publish what changed."""
        await self.catch_up()
        await self.catalog.publish(self.root / "published")

    async def _session(self, records: RecordsId) -> Session:
        files = await self.known.find(records)
        return Session(Concealed(SESSION), await self.known.batches(SESSION) if files else ())

    async def open_batch(self, batch: BatchId = BATCH) -> None:
        """A scanner session."""
        await self.files.begin_batch(batch, "scanner", SESSION)
        await self.journal.commit(BatchOpened(batch=batch, drop="scanner"))

    async def close_batch(self, batch: BatchId = BATCH) -> None:
        """Its notice."""
        await self.journal.commit(BatchClosed(batch=batch, by="operator"))

    async def scan(self, name: str, seed: int, batch: BatchId = BATCH) -> SlideNumber:
        """A slide of this original file name is stored; returns its number."""
        number = await self.linking.slide_number(Barcode(name.rpartition(".")[0]), Concealed(name))
        pack = pack_id(seed)
        facts = slide_facts(pack, batch=batch, number=number)
        self.bucket.put(pack, f"{number}.svs", b"pixels")
        self.bucket.publish(pack, facts.key)
        events = [
            PackArrived(pack=pack, drop="scanner", batch=batch),
            PackSettled(pack=pack, files=1, size=1, waited_seconds=0.1),
            SlideAnonymized(pack=pack, facts=facts),
            SlideStored(pack=pack, facts=facts),
        ]
        await self.journal.commit_all(events)
        return number

    async def settle(self, revision: int = 1, batch: BatchId = BATCH) -> LoadRecords:
        """What lies in the session's folder settles as a revision; returns the order to load it."""
        files = delivered(self.drop.walk(()), self.contracts)[SESSION]
        await self.known.remember(RecordsFiles(RECORDS, revision, RelativePath(SESSION), tuple(files)))
        await self.journal.commit(RecordsArrived(records=RECORDS, revision=revision))
        await self.journal.commit(RecordsSettled(records=RECORDS, revision=revision, batch=batch, files=len(files), size=1))
        return LoadRecords(records=RECORDS, revision=revision, batch=batch)

    async def load(self, revision: int = 1, batch: BatchId = BATCH) -> Any:
        """Settle and load."""
        event = await self.load_step.run(await self.settle(revision, batch))
        await self.journal.commit(event)
        return event

    async def align(self, revision: int = 1, alignment: int = 1, batch: BatchId = BATCH) -> Any:
        """Align what was loaded."""
        order = AlignRecords(records=RECORDS, revision=revision, batch=batch, alignment=alignment)
        event = await self.align_step.run(order)
        await self.journal.commit(event)
        return event

    async def follow_orders(self) -> Sequence[Any]:
        """Carry out what is ordered of records, until nothing is; returns what happened."""
        happened = []
        while pending := [*await self.journal.pending("load", 0, 10), *await self.journal.pending("align", 0, 10)]:
            for each in pending:
                step = self.load_step if isinstance(each.command, LoadRecords) else self.align_step
                happened.append(await step.run(each.command))  # type: ignore[arg-type]
                await self.journal.commit(happened[-1])
        return happened

    def rows(self, source: str, revision: int = 1, batch: BatchId = BATCH) -> pl.DataFrame:
        """A source's rows in the bucket."""
        return pl.read_parquet(self.root / "bucket" / "records" / batch / f"r{revision}" / f"{source}.parquet")


@asynccontextmanager
async def records_desk(root: Path) -> AsyncIterator[RecordsDesk]:
    """A site below ``root``."""
    async with AsyncExitStack() as stack:
        yield RecordsDesk(root, stack)
