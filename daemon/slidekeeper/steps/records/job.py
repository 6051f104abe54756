"""What a worker does with one batch's files: pure functions of one picklable argument. Raw rows live in its memory and nowhere else.

There are three calls: to learn which identifiers need numbers; while these are drawn, to learn what has to be searched for; then, with the
numbers, to write what may leave. The first two leave what they know in memory that the daemon lends; where they may not, the third begins
with the files again. Keys never reach the worker.
"""

from __future__ import annotations

import io
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl
from blake3 import blake3

from slidekeeper.errors import Permanent, SlidekeeperError, SourceChanged
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Action, Column, Contract, Domain
from slidekeeper.model.phi import Member
from slidekeeper.model.records import SourceFacts, rows_file
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.drop import Drop
from slidekeeper.ports.names import NamesModel
from slidekeeper.ports.tables import TableReader
from slidekeeper.steps.records.audit import Identifiers, audit
from slidekeeper.steps.records.canaries import plant, remove
from slidekeeper.steps.records.keys import Keys
from slidekeeper.steps.records.rules import check_rules, only
from slidekeeper.steps.records.scrubbing import Sample, sampled, scrubber_of, scrubs
from slidekeeper.steps.records.small_cells import SmallCells, quasi_columns, small_cells
from slidekeeper.steps.records.transform import Scrub, needed_columns, oldest_patients, transform, under

REPORTED_REJECTS = 100_000
"""Rejected rows that the hospital's report names one by one; beyond that the file is wrong as a whole."""
ROW_GROUP = 100_000
CONSENT_WITHDRAWN = "consent-withdrawn"


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """One file and its contract."""

    member: Member
    contract: Contract
    place: Path
    """Lent memory (see :class:`slidekeeper.ports.scratch.Scratch`), for the sound rows as an Arrow file."""


@dataclass(frozen=True, slots=True)
class SurveyRequest:
    """All files of one batch."""

    drop: Drop
    sources: tuple[SourceRequest, ...]
    reader: TableReader
    place: Path
    """Lent memory for what is searched for."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that did not come through; tells no cell."""

    source: str
    line: int
    column: str
    code: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What has to be known before anything can be written."""

    values: Mapping[Domain, Concealed[pl.Series]]
    """Distinct identifiers in sound rows, by domain."""
    rejects: tuple[Reject, ...]
    needs_offsets: bool
    left: Mapping[str, Mapping[str, int]]
    """Sources whose sound rows lie in their places now, and how often each code occurs among their rejects."""


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """The survey's request again, and what it left."""

    survey: SurveyRequest
    left: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """The survey's request once more, with what was left and drawn since."""

    survey: SurveyRequest
    left: Mapping[str, Mapping[str, int]]
    is_searchable: bool
    """Whether what is searched for lies in its place."""
    keys: Keys
    bucket: Bucket
    aside: str
    today: date
    review_share: float
    """Share of scrubbed texts that a person is to read."""
    names_model: NamesModel | None = None


@dataclass(frozen=True, slots=True)
class RareCombination:
    """Columns of one source that single out a few patients when they are put together; tells no value."""

    source: str
    columns: str
    cells: int
    """Distinct combinations of values."""
    small: int
    """Those that too few patients share."""
    rows: int
    """Rows in these."""
    fewest: int | None
    """Patients in the smallest."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What lies aside now, and what a person has to read before it is published."""

    sources: tuple[SourceFacts, ...]
    samples: tuple[Sample, ...]
    rare: tuple[RareCombination, ...]


@dataclass(slots=True)
class _Sound:
    """Sound rows of one source, and how many were not."""

    contract: Contract
    rows: pl.DataFrame
    rejected: Mapping[str, int]
    outgoing: pl.DataFrame = field(default_factory=pl.DataFrame)


def survey_records(request: SurveyRequest) -> Survey:
    """Read and check every file.

    Raises:
        Permanent: a file is not what its contract says.
        SourceChanged: a file changed meanwhile.
    """
    values: dict[Domain, list[pl.Series]] = {domain: [] for domain in Domain}
    rejects: list[Reject] = []
    left: dict[str, Mapping[str, int]] = {}
    for source in request.sources:
        rows, found = _read(request, source)
        for domain, column in _identified(source.contract):
            values[domain].append(rows[column.name].drop_nulls().unique().rename(domain))
        rejects += _listed(source.contract.source, found)
        if _leave(rows, source.place):
            left[source.contract.source] = Counter(found["code"])
        del rows
    hidden = {domain: Concealed(pl.concat(found).unique().sort()) for domain, found in values.items() if found}
    shifts = any(column.action is Action.SHIFT for source in request.sources for column in source.contract.columns)
    return Survey(hidden, tuple(rejects), shifts, left)


def collect_identifiers(request: SearchRequest) -> bool:
    """Leave every identifier of the batch, hashed, in the place that was lent; of those too whose consent is withdrawn.

    Returns:
        Whether it could be left.

    Raises:
        Permanent: a file is not what its contract says.
        SourceChanged: a file changed meanwhile.
    """
    identifiers = _collected(request.survey, request.left)
    try:
        identifiers.leave(request.survey.place)
    except OSError:
        return False
    return True


def load_records(request: LoadRequest) -> Loaded:
    """Write every source's anonymized rows aside, searched and found clean.

    Raises:
        Permanent: ``identifier-found``, with columns and counts; or a file is not what its contract says.
        SourceChanged: a file changed meanwhile.
        Unavailable: the bucket cannot take it now.
    """
    try:
        return _loaded(request)
    except BaseException:
        _clean_up(request)
        raise


def _loaded(request: LoadRequest) -> Loaded:
    sound = [_checked(request, source) for source in request.survey.sources]
    identifiers, keys = [_searched_for(request)], request.keys
    oldest = frozenset[str]().union(*(oldest_patients(part.rows, part.contract, keys, request.today) for part in sound))
    for part in sound:
        part.rows, canary = plant(part.rows, part.contract)
        identifiers, keys = [*identifiers, Identifiers.of_canary(canary)], keys.with_canary(canary)
    scrub = _scrubber(request, sound)
    for part in sound:
        part.rows = part.rows.select(needed_columns(part.contract))
    for part in sound:
        part.outgoing = transform(part.rows, part.contract, keys, request.today, scrub, oldest)
        part.rows = part.rows.clear()
    _search(sound, Identifiers.merged(identifiers))
    for part in sound:
        part.outgoing = remove(part.outgoing)
    seed = secrets.randbits(32)
    samples = [sample for part in sound for sample in sampled(part.contract, part.outgoing, request.review_share, seed)]
    small = [small_cells(part.outgoing, quasi_columns(part.contract)) for part in sound]
    rare = tuple(combination for part, cells in zip(sound, small, strict=True) for combination in _rare(part.contract.source, cells))
    facts = tuple(_write(request, part, cells) for part, cells in zip(sound, small, strict=True))
    return Loaded(facts, tuple(samples), rare)


def _rare(source: str, cells: SmallCells) -> Iterator[RareCombination]:
    for columns, *counts in cells.report.filter(pl.col("small") > 0).iter_rows():
        yield RareCombination(source, " + ".join(columns), *counts)


def _scrubber(request: LoadRequest, sound: Sequence[_Sound]) -> Scrub | None:
    if not scrubs([part.contract for part in sound]):
        return None
    return scrubber_of([(part.contract, part.rows) for part in sound], request.names_model)


def _searched_for(request: LoadRequest) -> Identifiers:
    """What :func:`collect_identifiers` left; collected here where it could not."""
    return Identifiers.left_in(request.survey.place) if request.is_searchable else _collected(request.survey, request.left)


def _collected(survey: SurveyRequest, left: Mapping[str, Mapping[str, int]]) -> Identifiers:
    return Identifiers.merged([Identifiers.from_rows(_found(survey, left, source)[0], source.contract) for source in survey.sources])


def _checked(request: LoadRequest, source: SourceRequest) -> _Sound:
    """Sound rows of everybody whose consent stands."""
    rows, rejected = _found(request.survey, request.left, source)
    for domain, column in _identified(source.contract):
        linked = request.keys.numbers[domain].asked
        standing = rows[column.name].is_null() | rows[column.name].is_in(linked.implode()).fill_null(False)
        rejected += Counter({CONSENT_WITHDRAWN: int((~standing).sum())})
        rows = only(rows, standing)
    return _Sound(source.contract, rows, rejected)


def _found(survey: SurveyRequest, left: Mapping[str, Mapping[str, int]], source: SourceRequest) -> tuple[pl.DataFrame, Counter[str]]:
    """Sound rows and rejects by code, as the survey left them; read again where it could not."""
    codes = left.get(source.contract.source)
    if codes is None:
        rows, rejects = _read(survey, source)
        return rows, Counter(rejects["code"])
    _refuse_change(survey, source)
    return pl.read_ipc(source.place), Counter(codes)


def _search(sound: Sequence[_Sound], identifiers: Identifiers) -> None:
    contracts = {part.contract.source: part.contract for part in sound}
    findings = audit({source: part.outgoing for source, part in zip(contracts, sound, strict=True)}, identifiers, contracts)
    if findings:
        where = ", ".join(f"{finding.source}.{finding.column}: {finding.count} cells ({finding.kind})" for finding in findings[:20])
        raise Permanent("identifier-found", where, "Correct the contract of this column, or the rows, and retry")


def _write(request: LoadRequest, part: _Sound, cells: SmallCells) -> SourceFacts:
    clean = under(part.contract, part.outgoing)
    stream = io.BytesIO()
    clean.write_parquet(stream, compression="zstd", row_group_size=ROW_GROUP)
    data = stream.getvalue()
    request.bucket.put(request.aside, rows_file(part.contract.source), data)
    return SourceFacts(
        source=part.contract.source,
        contract=part.contract.digest,
        contract_version=part.contract.version,
        rows=clean.height,
        rejected=dict(part.rejected),
        columns=tuple(clean.columns),
        small_cells=cells.rows,
        digest=f"blake3:{blake3(data).hexdigest()}",
    )


def _read(request: SurveyRequest, source: SourceRequest) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sound rows, and rejects by line, column and code."""
    with request.drop.open(source.member) as stream:
        try:
            table = request.reader.read(stream, source.contract)
        except Permanent as wrong:
            raise Permanent(wrong.reason, f"{source.contract.source}: {wrong.detail}", wrong.remedy) from None
    _refuse_change(request, source)
    rows, rejects = check_rules(table.rows.reveal(), source.contract)
    return rows, pl.concat([table.rejects, rejects]).sort("line")


def _refuse_change(request: SurveyRequest, source: SourceRequest) -> None:
    if request.drop.identify(source.member.path) != source.member.identity:
        raise SourceChanged("source-changed", "a file of records changed while it was read")


def _leave(rows: pl.DataFrame, place: Path) -> bool:
    """Whether the rows lie there now; they need not, and then the file is read twice."""
    try:
        with place.open("wb") as lent:
            rows.write_ipc(lent)
    except OSError:
        return False
    return True


def _identified(contract: Contract) -> Iterator[tuple[Domain, Column]]:
    for domain in Domain:
        column = contract.of_domain(domain)
        if column is not None:
            yield domain, column


def _listed(source: str, rejects: pl.DataFrame) -> list[Reject]:
    rows = rejects.select("line", "column", "code").head(REPORTED_REJECTS).iter_rows()
    return [Reject(source, *row) for row in rows]


def _clean_up(request: LoadRequest) -> None:
    """Remove what lies aside; if that fails too, the next start sweeps it, and the first error matters more."""
    try:
        request.bucket.discard(request.aside)
    except SlidekeeperError:
        return
