"""Carries out withdrawals of consent: from the order on nothing of them is stored or published, and in the end nothing is left.

What a kill interrupts is done again from its beginning: removing what is gone already changes nothing.
"""

from __future__ import annotations

import asyncio
import io
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import polars as pl
import structlog

from slidekeeper.errors import Refused, SlidekeeperError, UndefinedTransition
from slidekeeper.messages.events import ConsentWithdrawn, Event, RecordsWithdrawn, SlidesRemoved
from slidekeeper.model.identity import SlideNumber, slide_key
from slidekeeper.model.records import ALIGNMENT_ROWS, RECORDS, RECORDS_FACTS, RecordsFacts, rows_file
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.journal import Journal
from slidekeeper.ports.linking import Linking
from slidekeeper.ports.snapshots import Versions
from slidekeeper.steps.withdrawal.versions import versions_naming
from slidekeeper.workflow.states import RecordsState

log = structlog.get_logger(__name__)

NUMBER = re.compile(r"[1-9]\d{11}")
MANY = 10_000
PAUSE_SECONDS = 5.0
NUMBERED = ("slide_number", "patient_number", "case_number", "reference")
SETTLED = frozenset({RecordsState.ALIGNED, RecordsState.LOADED})


@dataclass(frozen=True, slots=True)
class Removed:
    """How much a withdrawal took away."""

    revisions: int
    rows: int


class Withdrawals:
    """Takes orders, and carries them out one after the other."""

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        bucket: Bucket,
        linking: Linking,
        versions: Versions,
        report: Callable[[Event], Awaitable[object]],
        catch_up: Callable[[], Awaitable[None]],
        publish: Callable[[], Awaitable[None]],
        withdrawn: Withdrawn,
        unstage: Callable[[Sequence[SlideNumber]], Awaitable[int]],
    ) -> None:
        """``catch_up`` brings the catalog up to the journal, ``publish`` the published files too; none may store what is ``withdrawn``.

        ``unstage`` removes slides from all stagings.
        """
        self._journal = journal
        self._catalog = catalog
        self._bucket = bucket
        self._linking = linking
        self._versions = versions
        self._report = report
        self._catch_up = catch_up
        self._publish = publish
        self._withdrawn = withdrawn
        self._unstage = unstage
        self._woken = asyncio.Event()

    async def order(self, numbers: Sequence[str], by: str) -> str:
        """Withdraw the consent for these slides or patients and all that belongs to the same patients; returns the withdrawal's id.

        Raises:
            Refused: a number is none, or nothing is known of it.
        """
        wrong = [number for number in numbers if not NUMBER.fullmatch(number)]
        if wrong or not numbers:
            raise Refused("no-number", "slides and patients are named by their 12 digits", "See `slidekeeper slides list`")
        await self._catch_up()
        kin = await self._catalog.kin(numbers)
        if not kin.slides and not kin.others:
            raise Refused(
                "unknown-number", "nothing is known of these numbers", "See `slidekeeper slides list`, `slidekeeper records list`"
            )
        slides = tuple(SlideNumber(number) for number in sorted(kin.slides))
        withdrawal = secrets.token_hex(6)
        self._withdrawn.add(slides)
        await self._report(ConsentWithdrawn(withdrawal=withdrawal, slides=slides, others=tuple(sorted(kin.others)), by=by))
        self._woken.set()
        return withdrawal

    async def prepare(self) -> None:
        """Learn what is withdrawn, before anything is stored."""
        for order in await self._orders():
            self._withdrawn.add(order.slides)

    async def run(self) -> None:
        """Carry out what was ordered, for ever."""
        while True:
            try:
                for order in await self._unfinished():
                    await self._carry_out(order)
            except (SlidekeeperError, UndefinedTransition) as trouble:
                log.warning("withdrawal not finished", reason=trouble.reason, detail=trouble.detail)
            try:
                async with asyncio.timeout(PAUSE_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                continue
            self._woken.clear()

    async def _orders(self) -> Sequence[ConsentWithdrawn]:
        found = await self._journal.events(0, MANY, ("consent.withdrawn",))
        return [recorded.event for recorded in found if isinstance(recorded.event, ConsentWithdrawn)]

    async def _unfinished(self) -> Sequence[ConsentWithdrawn]:
        removed = {recorded.event.subject for recorded in await self._journal.events(0, MANY, ("slides.removed",))}
        return [order for order in await self._orders() if order.withdrawal not in removed]

    async def _carry_out(self, order: ConsentWithdrawn) -> None:
        """First the links, so that nothing new comes in under them; then slides, rows, and what was published of both."""
        numbers = frozenset({*order.slides, *order.others})
        await self._linking.erase(sorted(numbers))
        revisions = sum([await asyncio.to_thread(self._remove_slide, number) for number in order.slides])
        await self._unstage(order.slides)
        rows = await self._remove_rows(numbers)
        await self._catch_up()
        await self._catalog.compact()
        await self._publish()
        versions = tuple(await asyncio.to_thread(versions_naming, self._versions, numbers))
        removed = SlidesRemoved(withdrawal=order.withdrawal, slides=order.slides, revisions=revisions, rows=rows, versions=versions)
        await self._report(removed)
        log.info("consent withdrawn", withdrawal=order.withdrawal, slides=len(order.slides), revisions=revisions, rows=rows)

    def _remove_slide(self, number: SlideNumber) -> int:
        revisions = len(self._bucket.names(slide_key(number)))
        self._bucket.remove(slide_key(number))
        return revisions

    async def _remove_rows(self, numbers: frozenset[str]) -> int:
        """Take the rows out of every revision of every batch's records; alignments that name them are made anew."""
        rows = 0
        for batch in await asyncio.to_thread(self._bucket.names, RECORDS):
            stripped = await asyncio.to_thread(self._strip_batch, batch, numbers)
            naming = await asyncio.to_thread(self._alignments_naming, batch, numbers)
            removed = sum(removed for _, removed in stripped)
            if removed or naming:
                await self._align_again(max((facts for facts, _ in stripped), key=lambda facts: facts.revision))
            for key in naming:
                await asyncio.to_thread(self._bucket.remove, key)
            rows += removed
        return rows

    async def _align_again(self, newest: RecordsFacts) -> None:
        row = await self._journal.records_row(newest.records)
        if row is not None and row.state in SETTLED:
            await self._report(RecordsWithdrawn(records=newest.records, facts=newest, alignment=row.alignment + 1))

    def _alignments_naming(self, batch: str, numbers: frozenset[str]) -> Sequence[str]:
        """Keys of a batch's alignments that name one of ``numbers``."""
        alignments = [f"{RECORDS}/{batch}/{name}" for name in self._bucket.names(f"{RECORDS}/{batch}") if "-a" in name]
        return [key for key in alignments if _named(_read(self._bucket, f"{key}/{ALIGNMENT_ROWS}"), numbers).any()]

    def _strip_batch(self, batch: str, numbers: frozenset[str]) -> Sequence[tuple[RecordsFacts, int]]:
        """Every revision of a batch's records, and how many rows were taken out of it."""
        revisions = [f"{RECORDS}/{batch}/{name}" for name in self._bucket.names(f"{RECORDS}/{batch}") if "-a" not in name]
        return [self._strip_revision(key, numbers) for key in revisions]

    def _strip_revision(self, folder: str, numbers: frozenset[str]) -> tuple[RecordsFacts, int]:
        facts = RecordsFacts.model_validate_json(self._bucket.read(f"{folder}/{RECORDS_FACTS}"))
        removed = 0
        sources = []
        for source in facts.sources:
            key = f"{folder}/{rows_file(source.source)}"
            rows = _read(self._bucket, key)
            kept = rows.filter(~_named(rows, numbers))
            if kept.height < rows.height:
                self._bucket.rewrite(key, _parquet(kept))
                removed += rows.height - kept.height
            sources.append(source.model_copy(update={"rows": kept.height, "digest": self._bucket.digest(key)}))
        facts = facts.model_copy(update={"sources": tuple(sources)})
        if removed:
            self._bucket.rewrite(f"{folder}/{RECORDS_FACTS}", facts.model_dump_json(indent=2).encode())
        return facts, removed


def _read(bucket: Bucket, key: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(bucket.read(key)))


def _named(rows: pl.DataFrame, numbers: frozenset[str]) -> pl.Series:
    """For each row, whether one of its numbers is among ``numbers``."""
    columns = [name for name in NUMBERED if name in rows.columns]
    return rows.select(pl.any_horizontal(pl.col(name).is_in(list(numbers)).fill_null(value=False) for name in columns)).to_series()


def _parquet(rows: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    rows.write_parquet(stream, compression="zstd")
    return stream.getvalue()
