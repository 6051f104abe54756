"""The load step: a batch's files become anonymized rows in the bucket, and a report for the hospital of what did not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slidekeeper.errors import Permanent, SourceChanged
from slidekeeper.messages.commands import LoadRecords
from slidekeeper.messages.events import RecordsArrived, RecordsLoaded
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Contract, Domain
from slidekeeper.model.phi import RecordsFiles
from slidekeeper.model.records import RecordsFacts, SourceFacts, records_key
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.deliveries import KnownRecords
from slidekeeper.ports.drop import Drop
from slidekeeper.ports.executor import Executor
from slidekeeper.ports.linking import Linking
from slidekeeper.ports.reports import Reports
from slidekeeper.ports.tables import TableReader
from slidekeeper.settings.sections import RecordsSettings
from slidekeeper.steps.records.job import LoadRequest, SourceRequest, Survey, SurveyRequest, load_records, survey_records
from slidekeeper.steps.records.transform import Keys

FACTS = "records.json"
REPORT_HEADER = ("file", "line", "column", "code")


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
    version: str

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
        requests = [SourceRequest(file.member, self.contracts[file.source]) for file in files.files if file.source in self.contracts]
        request = SurveyRequest(self.drop, tuple(requests), self.reader)
        survey = await self.executor.run(survey_records, request, self.settings.timeout_seconds)
        await self._report(files, survey)
        keys = await self._keys(survey)
        load = LoadRequest(request, keys, self.bucket, command.records, self.clock.now().date())
        return await self.executor.run(load_records, load, self.settings.timeout_seconds)

    async def _keys(self, survey: Survey) -> Keys:
        """A number for every identifier of somebody whose consent stands; offsets where dates are shifted."""
        numbers = {domain: await self._numbers(domain, hidden.reveal()) for domain, hidden in survey.values.items()}
        patients = list(dict.fromkeys(numbers[Domain.PATIENT].values()))
        offsets = dict(zip(patients, await self.linking.offsets(patients), strict=True)) if survey.needs_offsets else {}
        return Keys(numbers, offsets)

    async def _numbers(self, domain: Domain, values: Sequence[str]) -> Mapping[str, str]:
        gone = await self.linking.withdrawn(domain, [Concealed(value) for value in values])
        standing = [value for value, withdrawn in zip(values, gone, strict=True) if not withdrawn]
        hidden = [Concealed(value) for value in standing]
        found = await (self.linking.refer_slides(hidden) if domain is Domain.SLIDE else self.linking.refer(domain, hidden))
        return dict(zip(standing, found, strict=True))

    async def _report(self, files: RecordsFiles, survey: Survey) -> None:
        names = {file.source: Concealed(file.member.path.reveal().decode("utf-8", "surrogateescape")) for file in files.files}
        rows = [(names[reject.source], reject.line, reject.column, reject.code) for reject in survey.rejects]
        await self.reports.write(Concealed(files.folder.reveal()), f"rejected-r{files.revision}", REPORT_HEADER, rows)

    def _stored(self, command: LoadRecords) -> RecordsFacts | None:
        """The facts of a revision that an earlier try has published."""
        key = f"{records_key(command.batch, command.revision)}/{FACTS}"
        if not self.bucket.has(key):
            return None
        facts = RecordsFacts.model_validate_json(self.bucket.read(key))
        if facts.records != command.records:
            raise Permanent("key-taken", "other records are stored for this batch", "Put the files of one session into one folder")
        return facts

    def _publish(self, facts: RecordsFacts) -> None:
        self.bucket.put(facts.records, FACTS, facts.model_dump_json(indent=2).encode())
        self.bucket.publish(facts.records, facts.key)
