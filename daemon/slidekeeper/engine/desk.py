"""The front desk: answers for people and programs, made of journal and catalog, and orders that only a running daemon takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from slidekeeper.engine.disks import Disks
from slidekeeper.engine.engine import Engine
from slidekeeper.engine.heartbeat import LagMeter
from slidekeeper.engine.runs_desk import run_answer
from slidekeeper.engine.stagings import staging_answer
from slidekeeper.errors import Refused, UndefinedTransition
from slidekeeper.messages.events import AnyPackEvent, ConsentWithdrawn, PackDiscarded, PackRetried, RecordsRetried, SlidesRemoved
from slidekeeper.messages.wire import cloud_event_mapping
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.records import RecordsId
from slidekeeper.model.run import RunId
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.desk import Answer, BrokerUse, RunOrders, StagingOrders, VersionOrders
from slidekeeper.ports.journal import Journal, Outbox, PackRow, Recorded, RecordsRow, StagingRow
from slidekeeper.workflow.states import ON_TIER, PackState, StagingState

TROUBLES = (
    "pack.quarantined",
    "pack.stuck",
    "step.failed",
    "records.quarantined",
    "records.failed",
    "run.quarantined",
    "run.failed",
    "staging.quarantined",
    "staging.failed",
    "place.suspended",
    "watch.degraded",
)
FOLLOW_SECONDS = 15.0
PAGE = 500
WORKED_ON = frozenset({StagingState.ORDERED, StagingState.RELEASED})
MANY = 10_000
"""Withdrawals, which are few."""


def pack_answer(row: PackRow) -> Answer:
    """The JSON form of a pack's row."""
    return {
        "pack": row.pack,
        "state": row.state.value,
        "drop": row.drop,
        "batch": row.batch,
        "attempts": row.attempts,
        "reason": row.reason,
        "detail": row.detail,
        "arrived": row.arrived.isoformat(),
        "updated": row.updated.isoformat(),
    }


def records_answer(row: RecordsRow) -> Mapping[str, Any]:
    """The JSON form of a records row."""
    return {
        "records": row.records,
        "state": row.state.value,
        "revision": row.revision,
        "batch": row.batch,
        "attempts": row.attempts,
        "reason": row.reason,
        "detail": row.detail,
        "arrived": row.arrived.isoformat(),
        "updated": row.updated.isoformat(),
    }


class ReadingDesk:
    """Answers from journal and catalog; works beside a running daemon and without one."""

    def __init__(self, journal: Journal, catalog: Catalog, site: str, disks: Mapping[str, Path]) -> None:
        self._journal = journal
        self._catalog = catalog
        self._site = site
        self._disks = Disks(disks)

    async def status(self) -> Answer:
        """Counts per state, disk and the newest troubles."""
        counts = await self._journal.counts()
        troubles = await self._journal.latest(10, TROUBLES)
        return {
            "running": False,
            "site": self._site,
            "packs": {state.value: counts[state] for state in PackState if counts.get(state)},
            "runs": {state.value: count for state, count in sorted((await self._journal.run_counts()).items())},
            "disks": await self._disks.usage(),
            "troubles": [self._event_answer(recorded) for recorded in troubles],
        }

    async def events(self, after: int, limit: int, types: Sequence[str] = ()) -> Sequence[Answer]:
        """Events as CloudEvents; the newest ones when ``after`` is negative."""
        found = await (self._journal.latest(limit, types) if after < 0 else self._journal.events(after, limit, types))
        return [self._event_answer(recorded) for recorded in found]

    async def slides(self, after: str, limit: int, batch: str) -> Sequence[Answer]:
        """Newest revision of each slide, by number."""
        return await self._catalog.slides(after, limit, batch)

    async def slide(self, number: str) -> Sequence[Answer]:
        """All revisions of a slide."""
        return await self._catalog.slide(number)

    async def quarantine(self, after: str, limit: int) -> Sequence[Answer]:
        """Packs held for a person."""
        return [pack_answer(row) for row in await self._journal.packs([PackState.QUARANTINED], after, limit)]

    async def pack(self, pack: str) -> Answer | None:
        """One pack in any state."""
        row = await self._journal.pack(PackId(pack))
        return pack_answer(row) if row else None

    async def records(self, after: str, limit: int) -> Sequence[Answer]:
        """The records of each batch, with the counts of what is current."""
        rows = await self._journal.records((), after, limit)
        current = {fact["records"]: fact for fact in await self._catalog.records(after, limit)}
        return [{**records_answer(row), **_counts(current.get(row.records, {})), "waits_for": self._waits_for(row.records)} for row in rows]

    async def record(self, records: str) -> Answer | None:
        """The records of one batch with the history of their revisions."""
        row = await self._journal.records_row(RecordsId(records))
        if row is None:
            return None
        history = list(await self._catalog.record(records))
        return {**records_answer(row), "waits_for": self._waits_for(row.records), "history": history}

    async def findings(self, records: str, limit: int) -> Sequence[Answer]:
        """Rows that are tied to nothing."""
        return await self._catalog.findings(records, limit)

    async def runs(self, after: str, limit: int) -> Sequence[Answer]:
        """Training runs by id."""
        return [run_answer(row) for row in await self._journal.runs((), after, limit)]

    async def run(self, run: str) -> Answer | None:
        """One training run."""
        row = await self._journal.run(RunId(run))
        return run_answer(row) if row else None

    async def withdrawals(self) -> Sequence[Answer]:
        """Every withdrawal of consent, and whether it is carried out."""
        found = await self._journal.latest(MANY, ("consent.withdrawn", "slides.removed"))
        removed = {recorded.event.subject: recorded.event for recorded in found if isinstance(recorded.event, SlidesRemoved)}
        orders = [(recorded.time, recorded.event) for recorded in found if isinstance(recorded.event, ConsentWithdrawn)]
        return [_withdrawal_answer(time, order, removed.get(order.withdrawal)) for time, order in orders]

    async def stagings(self, after: str, limit: int, removed: bool) -> Sequence[Answer]:
        """Stagings by id."""
        return [self._staging_answer(row) for row in await self._journal.stagings(() if removed else ON_TIER, after, limit)]

    async def staging(self, name: str) -> Answer | None:
        """The newest staging of a name."""
        row = await self._journal.staging_named(name)
        return self._staging_answer(row) if row else None

    def _staging_answer(self, row: StagingRow) -> Answer:
        return staging_answer(row)

    def _waits_for(self, _records: str) -> str:
        """What records that have not settled wait for; only a daemon that runs knows."""
        return ""

    def _event_answer(self, recorded: Recorded) -> Answer:
        return cloud_event_mapping(recorded.id, recorded.time, recorded.event, self._site) | {"sequence": str(recorded.seq)}


def _counts(fact: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rows and alignment of the current revision."""
    return {"rows": fact.get("row_count") or 0, "rejected": fact.get("rejected_count") or 0, "aligned": fact.get("counts") or {}}


def _withdrawal_answer(time: datetime, order: ConsentWithdrawn, removed: SlidesRemoved | None) -> Answer:
    return {
        "withdrawal": order.withdrawal,
        "ordered": time.isoformat(),
        "by": order.by,
        "slides": len(order.slides),
        "state": "removed" if removed else "under way",
        "revisions": removed.revisions if removed else 0,
        "rows": removed.rows if removed else 0,
        "versions": list(removed.versions) if removed else [],
    }


@dataclass(frozen=True, slots=True)
class TrainingOrders:
    """Who takes orders about the training half, and tells what only a running daemon knows of it."""

    stagings: StagingOrders
    runs: RunOrders
    versions: VersionOrders
    roots: Callable[[], Sequence[Mapping[str, Any]]]
    """What is wrong in the training roots."""
    replicas: Sequence[Callable[[], Awaitable[Answer]]] = ()
    """How far each replica is."""


@dataclass(frozen=True, slots=True)
class Live:
    """What a running daemon can tell and do beyond journal and catalog."""

    engine: Engine
    outbox: Outbox | None
    lag: LagMeter
    drops: Callable[[], Sequence[Mapping[str, Any]]]
    close_batch: Callable[[Path, str], Awaitable[BatchId]]
    waiting_records: Mapping[RecordsId, str]
    withdraw: Callable[[Sequence[str], str], Awaitable[str]]
    training: TrainingOrders


class DaemonDesk(ReadingDesk):
    """The desk of a running daemon."""

    def __init__(self, journal: Journal, catalog: Catalog, site: str, disks: Mapping[str, Path], live: Live) -> None:
        super().__init__(journal, catalog, site, disks)
        self._live = live

    async def status(self) -> Answer:
        """Adds queues, places, drop folders, the broker's backlog and the loop's lag."""
        engine = self._live.engine
        return {
            **await super().status(),
            "running": True,
            "journal_trouble": self._journal.trouble,
            "suspended": dict(engine.places.suspended),
            "lanes": {lane.name: {"busy": lane.busy, "parked": lane.parked} for lane in engine.lanes},
            "drops": list(self._live.drops()),
            "training_roots": list(self._live.training.roots()),
            "slides_per_minute": engine.throughput.per_minute(),
            "unpublished": await self._live.outbox.backlog() if self._live.outbox else 0,
            "loop_lag_seconds": self._lag(),
            "replicas": [await status() for status in self._live.training.replicas],
        }

    def _lag(self) -> Answer:
        lag = self._live.lag
        return {"recent": round(lag.recent, 4), "worst": round(lag.worst, 4), "worst_starved": round(lag.worst_starved, 4)}

    @property
    def run_orders(self) -> RunOrders:
        """Orders about training runs."""
        return self._live.training.runs

    async def follow(self, after: int) -> AsyncIterator[Sequence[Answer]]:
        """Events as they are committed; an empty portion every few seconds keeps the connection alive."""
        while True:
            committed = asyncio.ensure_future(self._live.engine.committed())
            page = await self._journal.events(after, PAGE)
            if page:
                committed.cancel()
                after = page[-1].seq
            else:
                await asyncio.wait({committed}, timeout=FOLLOW_SECONDS)
                committed.cancel()
            yield [self._event_answer(recorded) for recorded in page]

    async def retry(self, pack: str, by: str) -> Answer:
        """Take a pack out of quarantine."""
        return await self._order(PackRetried(pack=PackId(pack), by=by))

    async def discard(self, pack: str, by: str) -> Answer:
        """Decide that a quarantined pack is not wanted."""
        return await self._order(PackDiscarded(pack=PackId(pack), by=by))

    async def retry_records(self, records: str, by: str, reviewed: bool) -> Answer:
        """Take records out of quarantine."""
        if await self._journal.records_row(RecordsId(records)) is None:
            raise Refused("unknown-records", f"there are no records {records[:12]}", "See `slidekeeper records list`")
        try:
            await self._live.engine.submit(RecordsRetried(records=RecordsId(records), by=by, reviewed=reviewed))
        except UndefinedTransition as refused:
            raise Refused("not-in-quarantine", refused.detail, "See `slidekeeper records list`") from None
        return await self.record(records) or {}

    async def withdraw(self, numbers: Sequence[str], by: str) -> Answer:
        """Order a withdrawal; it is carried out at once, and again after a crash."""
        withdrawal = await self._live.withdraw(numbers, by)
        [answer] = [answer for answer in await self.withdrawals() if answer["withdrawal"] == withdrawal]
        return answer

    async def preview_staging(self, name: str, tier: str, where: str, numbers: Sequence[str]) -> Answer:
        """What staging a cohort would do."""
        return await self._live.training.stagings.preview(name, tier, where, numbers)

    async def stage(self, name: str, tier: str, where: str, numbers: Sequence[str], by: str) -> Answer:
        """Order a staging."""
        return self._staging_answer(await self._live.training.stagings.order(name, tier, where, numbers, by))

    async def release_staging(self, name: str, by: str, reason: str) -> Answer:
        """Let a staging go."""
        return self._staging_answer(await self._live.training.stagings.release(name, by, reason))

    async def retry_staging(self, name: str, by: str) -> Answer:
        """Try a held staging again."""
        return self._staging_answer(await self._live.training.stagings.retry(name, by))

    def _staging_answer(self, row: StagingRow) -> Answer:
        suspended = self._live.engine.places.suspended
        places = [place for place in (f"tier:{row.tier}", "bucket", "state") if place in suspended]
        waits_for = places[0] if places and row.state in WORKED_ON else ""
        return staging_answer(row, self._live.training.stagings.progress(row.staging), waits_for)

    def _waits_for(self, records: str) -> str:
        return self._live.waiting_records.get(RecordsId(records), "")

    async def batch_ready(self, folder: str, by: str) -> Answer:
        """Close the open batch of a folder."""
        return {"batch": await self._live.close_batch(Path(folder), by), "state": "closed"}

    @property
    def versions(self) -> VersionOrders:
        """Orders about versions."""
        return self._live.training.versions

    async def broker_use(self, use: BrokerUse) -> Answer:
        """Record that somebody passes the honest broker's door."""
        recorded = await self._live.engine.submit(use)
        return {"sequence": str(recorded.seq), "by": use.by}

    async def _order(self, event: AnyPackEvent) -> Answer:
        if await self._journal.pack(event.pack) is None:
            raise Refused("unknown-pack", f"there is no pack {event.pack}", "See `slidekeeper quarantine list`")
        try:
            await self._live.engine.submit(event)
        except UndefinedTransition as refused:
            raise Refused("not-in-quarantine", refused.detail, "See `slidekeeper quarantine list`") from None
        return await self.pack(event.pack) or {}
