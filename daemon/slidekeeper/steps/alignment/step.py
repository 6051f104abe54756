"""The align step: reads the rows' numbers, asks which slides are stored, and keeps the outcome beside the rows."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from slidekeeper.errors import Permanent
from slidekeeper.messages.commands import AlignRecords
from slidekeeper.messages.events import RecordsAligned
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.identity import BatchId, SlideNumber
from slidekeeper.model.records import (
    ALIGNMENT_FACTS,
    ALIGNMENT_ROWS,
    RECORDS_FACTS,
    AlignmentFacts,
    RecordsFacts,
    RecordsId,
    alignment_key,
    records_key,
    rows_file,
)
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.linking import Linking
from slidekeeper.ports.reports import Reports
from slidekeeper.steps.alignment.align import Alignment, Finding, align

NUMBERS = ("row", "slide_number", "patient_number", "case_number")
REPORT_HEADER = ("finding", "source", "line", "slide")


@dataclass(frozen=True, slots=True)
class Session:
    """The scanner session that records belong to."""

    folder: Concealed[bytes]
    batches: Sequence[BatchId]


@dataclass(frozen=True, slots=True)
class AlignStep:
    """Carries out :class:`AlignRecords`; doing it twice is doing it once."""

    bucket: Bucket
    catalog: Catalog
    linking: Linking
    reports: Reports
    session: Callable[[RecordsId], Awaitable[Session]]
    catch_up: Callable[[], Awaitable[None]]
    """Brings the catalog up to the journal."""

    async def run(self, command: AlignRecords) -> RecordsAligned:
        """Tie one revision's rows to the slides that are stored now."""
        done = await asyncio.to_thread(self._stored, command)
        if done is None:
            done = await self._align(command)
        return RecordsAligned(records=command.records, facts=done)

    async def _align(self, command: AlignRecords) -> AlignmentFacts:
        await self.catch_up()
        session = await self.session(command.records)
        sources = await asyncio.to_thread(lambda: dict(self._rows(command)))
        slides, aliases = await self._slides(sources, {command.batch, *session.batches})
        alignment = await asyncio.to_thread(align, sources, slides, aliases)
        facts = AlignmentFacts(
            records=command.records, revision=command.revision, alignment=command.alignment, counts=dict(alignment.counts)
        )
        await self._report(session, facts, alignment)
        await asyncio.to_thread(self._publish, command, facts, alignment)
        return facts

    async def _slides(
        self, sources: Mapping[str, pl.DataFrame], own: set[BatchId]
    ) -> tuple[pl.DataFrame, Mapping[SlideNumber, Sequence[SlideNumber]]]:
        """Stored slides that rows may mean, or that are of the records' own batches; and other numbers for what is not stored."""
        references = {SlideNumber(number) for frame in sources.values() for number in frame["slide_number"].drop_nulls().unique()}
        stored = list(await self.catalog.stored_in(sorted(references), sorted(own)))
        aliases = await self.linking.aliases(sorted(references - {SlideNumber(number) for number, _ in stored}))
        others = sorted({number for same in aliases.values() for number in same})
        stored += await self.catalog.stored_in(others, ())
        schema = {"number": pl.String, "own": pl.Boolean}
        return pl.DataFrame([(number, batch in own) for number, batch in stored], schema=schema, orient="row"), aliases

    async def _report(self, session: Session, facts: AlignmentFacts, alignment: Alignment) -> None:
        """Tell the hospital which rows and slides stand alone; slides by the names that its people know."""
        alone = [SlideNumber(number) for number in alignment.slides.filter(pl.col("problem").is_not_null())["slide_number"]]
        names = await self.linking.reveal(alone)
        problems = alignment.rows.filter(pl.col("problem").is_not_null()).select("problem", "source", "row")
        rows: list[Sequence[str | int | Concealed[str]]] = [(*problem, "") for problem in problems.iter_rows()]
        rows += [(Finding.SLIDE_WITHOUT_ROW.value, "", "", names[number].identifier) for number in alone if number in names]
        await self.reports.write(session.folder, f"alignment-r{facts.revision}", REPORT_HEADER, rows)

    def _rows(self, command: AlignRecords) -> Iterator[tuple[str, pl.DataFrame]]:
        """The columns of numbers, source by source."""
        folder = records_key(command.batch, command.revision)
        facts = RecordsFacts.model_validate_json(self.bucket.read(f"{folder}/{RECORDS_FACTS}"))
        for source in facts.sources:
            columns = [name for name in NUMBERS if name in source.columns]
            yield source.source, pl.read_parquet(io.BytesIO(self.bucket.read(f"{folder}/{rows_file(source.source)}")), columns=columns)

    def _stored(self, command: AlignRecords) -> AlignmentFacts | None:
        """The facts of an alignment that an earlier try has published."""
        key = f"{alignment_key(command.batch, command.revision, command.alignment)}/{ALIGNMENT_FACTS}"
        if not self.bucket.has(key):
            return None
        facts = AlignmentFacts.model_validate_json(self.bucket.read(key))
        if facts.records != command.records:
            raise Permanent("key-taken", "another alignment is stored under this key", "Compare journal and bucket")
        return facts

    def _publish(self, command: AlignRecords, facts: AlignmentFacts, alignment: Alignment) -> None:
        stream = io.BytesIO()
        alignment.rows.write_parquet(stream, compression="zstd")
        aside = f"{command.records}-alignment"
        self.bucket.put(aside, ALIGNMENT_ROWS, stream.getvalue())
        self.bucket.put(aside, ALIGNMENT_FACTS, facts.model_dump_json(indent=2).encode())
        self.bucket.publish(aside, alignment_key(command.batch, command.revision, command.alignment))
