"""The load step: a batch's files become anonymized rows in the bucket, and a report for the hospital of what did not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from slidekeeper.errors import Permanent, SourceChanged
from slidekeeper.messages.commands import LoadRecords
from slidekeeper.messages.events import RecordsArrived, RecordsLoaded, RecordsRetried
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Contract, Domain
from slidekeeper.model.phi import RecordsFiles
from slidekeeper.model.records import RECORDS_FACTS, RecordsFacts, RecordsId, SourceFacts, records_key
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.deliveries import KnownRecords
from slidekeeper.ports.drop import Drop
from slidekeeper.ports.executor import Executor
from slidekeeper.ports.journal import Journal
from slidekeeper.ports.linking import Linking
from slidekeeper.ports.names import NamesModel
from slidekeeper.ports.reports import Reports
from slidekeeper.ports.scratch import Scratch
from slidekeeper.ports.tables import TableReader
from slidekeeper.settings.sections import RecordsSettings
from slidekeeper.steps.records.job import (
    Loaded,
    LoadRequest,
    RareCombination,
    SearchRequest,
    SourceRequest,
    Survey,
    SurveyRequest,
    collect_identifiers,
    load_records,
    survey_records,
)
from slidekeeper.steps.records.keys import Answers, Keys
from slidekeeper.steps.records.scrubbing import Sample

REPORT_HEADER = ("file", "line", "column", "code")
RARE_HEADER = ("source", "columns", "combinations", "of fewer than five patients", "rows in these", "patients in the smallest")
SAMPLE_HEADER = ("source", "column", "text")
REVIEWS = ("records.arrived", "records.retried")
MANY = 10_000


@dataclass(frozen=True, slots=True)
class LoadStep:
    """Carries out :class:`LoadRecords`; doing it twice is doing it once."""

    drop: Drop
    contracts: Mapping[str, Contract]
    known: KnownRecords
    linking: Linking
    executor: Executor
    reader: TableReader
    bucket: Bucket
    reports: Reports
    settings: RecordsSettings
    clock: Clock
    journal: Journal
    version: str
    scratch: Scratch
    names_model: NamesModel | None = None

    async def run(self, command: LoadRecords) -> RecordsLoaded | RecordsArrived:
        """Load one revision; see :func:`slidekeeper.steps.records.job.load_records` for what may be raised."""
        done = await asyncio.to_thread(self._stored, command)
        if done is not None:
            return RecordsLoaded(records=command.records, facts=done)
        files = await self.known.find(command.records)
        if files is None:
            raise Permanent("unknown-files", "the restricted index no longer knows these records' files")
        started = time.perf_counter()
        try:
            sources = await self._load(command, files)
        except SourceChanged:
            return RecordsArrived(records=command.records, revision=command.revision)
        facts = RecordsFacts(
            records=command.records,
            revision=command.revision,
            batch=command.batch,
            sources=sources,
            seconds=round(time.perf_counter() - started, 3),
            anonymizer=self.version,
        )
        await asyncio.to_thread(self._publish, facts)
        return RecordsLoaded(records=command.records, facts=facts)

    async def _load(self, command: LoadRecords, files: RecordsFiles) -> tuple[SourceFacts, ...]:
        with self.scratch.lend(1 + len(files.files)) as (searched, *places):
            known = [(file, place) for file, place in zip(files.files, places, strict=True) if file.source in self.contracts]
            requests = [SourceRequest(file.member, self.contracts[file.source], place) for file, place in known]
            loaded = await self._anonymized(command, files, SurveyRequest(self.drop, tuple(requests), self.reader, searched))
        await self._report_rare(files, loaded.rare)
        if loaded.samples and not await self._is_reviewed(command.records):
            await self._ask_for_review(files, loaded.samples)
        return loaded.sources

    async def _anonymized(self, command: LoadRecords, files: RecordsFiles, request: SurveyRequest) -> Loaded:
        """What the workers make of the files, with numbers for whom they name; these are drawn while a worker collects identifiers."""
        seconds = self.settings.timeout_seconds
        survey = await self.executor.run(survey_records, request, seconds)
        await self._report(files, survey)
        collecting = asyncio.ensure_future(self.executor.run(collect_identifiers, SearchRequest(request, survey.left), seconds))
        try:
            keys, is_searchable = await self._keys(survey), await collecting
        finally:
            collecting.cancel()
        today, share = self.clock.now().date(), self.settings.review_share
        load = LoadRequest(request, survey.left, is_searchable, keys, self.bucket, command.records, today, share, self.names_model)
        return await self.executor.run(load_records, load, seconds)

    async def _report_rare(self, files: RecordsFiles, rare: Sequence[RareCombination]) -> None:
        """Tell the hospital which columns, put together, single out a few patients."""
        rows = [(each.source, each.columns, each.cells, each.small, each.rows, each.fewest or 0) for each in rare]
        await self.reports.write(Concealed(files.folder.reveal()), f"small-cells-r{files.revision}", RARE_HEADER, rows)

    async def _is_reviewed(self, records: RecordsId) -> bool:
        """Whether a person released these texts since the files last changed."""
        told = [recorded.event for recorded in await self.journal.latest(MANY, REVIEWS)]
        mine = [event for event in told if isinstance(event, (RecordsArrived, RecordsRetried)) and event.records == records]
        arrived = max((place for place, event in enumerate(mine) if isinstance(event, RecordsArrived)), default=0)
        return any(isinstance(event, RecordsRetried) and event.reviewed for event in mine[arrived:])

    async def _ask_for_review(self, files: RecordsFiles, samples: Sequence[Sample]) -> None:
        """Hold the records until somebody has read a sample of what the scrubber left.

        Raises:
            Permanent: ``needs-review``, always.
        """
        rows = [(sample.source, sample.column, sample.text) for sample in samples]
        await self.reports.write(Concealed(files.folder.reveal()), f"scrubbed-r{files.revision}", SAMPLE_HEADER, rows)
        await asyncio.to_thread(self.bucket.discard, files.records)
        remedy = "Read the sample in the reports folder; if it names nobody: `slidekeeper records retry ID --reviewed`"
        raise Permanent("needs-review", f"{len(samples)} scrubbed texts wait for a person", remedy)

    async def _keys(self, survey: Survey) -> Keys:
        """A number for every identifier of somebody whose consent stands; offsets where dates are shifted."""
        numbers = {domain: await self._numbers(domain, hidden.reveal()) for domain, hidden in survey.values.items()}
        if Domain.PATIENT not in numbers or not survey.needs_offsets:
            return Keys(numbers)
        patients = numbers[Domain.PATIENT].answered.unique()
        offsets = await self.linking.offsets(patients.to_list())
        return Keys(numbers, Answers(patients, pl.Series(offsets, dtype=pl.Int64)))

    async def _numbers(self, domain: Domain, values: pl.Series) -> Answers:
        hidden = await asyncio.to_thread(lambda: [Concealed(value) for value in values])
        found = await (self.linking.refer_slides(hidden) if domain is Domain.SLIDE else self.linking.refer(domain, hidden))
        return await asyncio.to_thread(_standing, values, found)

    async def _report(self, files: RecordsFiles, survey: Survey) -> None:
        names = {file.source: Concealed(file.member.path.reveal().decode("utf-8", "surrogateescape")) for file in files.files}
        rows = [(names[reject.source], reject.line, reject.column, reject.code) for reject in survey.rejects]
        await self.reports.write(Concealed(files.folder.reveal()), f"rejected-r{files.revision}", REPORT_HEADER, rows)

    def _stored(self, command: LoadRecords) -> RecordsFacts | None:
        """The facts of a revision that an earlier try has published."""
        key = f"{records_key(command.batch, command.revision)}/{RECORDS_FACTS}"
        if not self.bucket.has(key):
            return None
        facts = RecordsFacts.model_validate_json(self.bucket.read(key))
        if facts.records != command.records:
            raise Permanent("key-taken", "other records are stored for this batch", "Put the files of one session into one folder")
        return facts

    def _publish(self, facts: RecordsFacts) -> None:
        self.bucket.put(facts.records, RECORDS_FACTS, facts.model_dump_json(indent=2).encode())
        self.bucket.publish(facts.records, facts.key)


def _standing(values: pl.Series, found: Sequence[str | None]) -> Answers:
    """The numbers of those whose consent stands."""
    numbers = pl.Series(found, dtype=pl.String)
    return Answers(values.filter(numbers.is_not_null()), numbers.drop_nulls())
