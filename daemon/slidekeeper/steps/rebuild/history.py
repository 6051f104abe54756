"""Tells, as events, what must have happened for a bucket to hold what it holds: from these the journal of a lost state is made anew.

What no bucket knows is lost with the state: packs that were never stored, quarantines, stagings, who did what when. The linking table is
not made anew either: nothing in a bucket could tell whose slide is whose. It comes back from its own backup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from pydantic import ValidationError

from slidekeeper.errors import Permanent
from slidekeeper.messages import events as fact
from slidekeeper.model.records import AlignmentFacts, RecordsFacts
from slidekeeper.model.run import DoneMarker, RunId, RunPlace
from slidekeeper.model.slide import SlideFacts
from slidekeeper.model.version import VersionDocument, VersionFacts
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.snapshots import Versions

Facts = TypeVar("Facts", SlideFacts, RecordsFacts, AlignmentFacts)
SLIDES, RECORDS = "slides", "records"


def slides(bucket: Bucket) -> Iterator[SlideFacts]:
    """The facts of every revision of every slide, by number.

    Raises:
        Permanent: ``facts-damaged``: a ``slide.json`` is none.
    """
    for prefix in bucket.names(SLIDES):
        for number in bucket.names(f"{SLIDES}/{prefix}"):
            folder = f"{SLIDES}/{prefix}/{number}"
            for revision in sorted(bucket.names(folder), key=_number_of):
                yield _facts_in(bucket, f"{folder}/{revision}/slide.json", SlideFacts)


def slide_events(facts: SlideFacts) -> Sequence[fact.Event]:
    """The life of the pack that became this revision."""
    pack = facts.pack
    return (
        fact.PackArrived(pack=pack, drop=facts.drop, batch=facts.batch),
        fact.PackSettled(pack=pack, files=1, size=facts.size, waited_seconds=0.0),
        fact.SlideAnonymized(pack=pack, facts=facts),
        fact.SlideStored(pack=pack, facts=facts),
        fact.SlideCatalogued(pack=pack, number=facts.number, revision=facts.revision),
        fact.PackReleased(pack=pack, originals="kept"),
    )


def records_events(bucket: Bucket) -> Iterator[Sequence[fact.Event]]:
    """For each batch the life of its records, revision by revision.

    A revision that was replaced and whose alignments are gone (a withdrawal removes those that name a slide) is left out.
    """
    for batch in bucket.names(RECORDS):
        names = sorted(bucket.names(f"{RECORDS}/{batch}"), key=_revision_and_alignment)
        revisions = [list(group) for _, group in groupby(names, key=lambda name: _revision_and_alignment(name)[0])]
        yield [
            event
            for position, group in enumerate(revisions, 1)
            if len(group) > 1 or position == len(revisions)
            for event in _revision_events(bucket, f"{RECORDS}/{batch}", group)
        ]


def version_events(document: VersionDocument) -> Sequence[fact.Event]:
    """The end of the run that became this version; its folder is nobody's to clean any more."""
    run = RunId(document.run.run)
    place = RunPlace(project=document.project, name=document.run.name, folder=document.run.folder)
    marker = DoneMarker(status=document.status, message=document.message)
    counted = {name: getattr(document, name) for name in ("project", "version", "tree", "status", "files", "size", "added", "missing")}
    return (
        fact.RunFinished(run=run, place=place, marker=marker, by=document.by),
        fact.RunProtected(run=run, facts=VersionFacts(**counted, seconds=0.0)),
    )


def documents(versions: Versions) -> Iterator[VersionDocument]:
    """Every version of every project, oldest first within its project."""
    for project in versions.projects():
        for number in versions.numbers(project):
            yield versions.document(project, number)


def _revision_events(bucket: Bucket, folder: str, group: Sequence[str]) -> Iterator[fact.Event]:
    """One revision of a batch's records: its own folder comes first, then its alignments."""
    loaded = _facts_in(bucket, f"{folder}/{group[0]}/records.json", RecordsFacts)
    records, revision = loaded.records, loaded.revision
    yield fact.RecordsArrived(records=records, revision=revision)
    yield fact.RecordsSettled(records=records, revision=revision, batch=loaded.batch, files=len(loaded.sources), size=0)
    yield fact.RecordsLoaded(records=records, facts=loaded)
    for position, name in enumerate(group[1:]):
        aligned = _facts_in(bucket, f"{folder}/{name}/alignment.json", AlignmentFacts)
        if position:
            yield fact.RecordsOutdated(records=records, revision=revision, batch=loaded.batch, alignment=aligned.alignment)
        yield fact.RecordsAligned(records=records, facts=aligned)


def _facts_in(bucket: Bucket, key: str, kind: type[Facts]) -> Facts:
    try:
        return kind.model_validate_json(bucket.read(key))
    except (ValidationError, FileNotFoundError):
        raise Permanent(
            "facts-damaged", f"{key} is missing or damaged", "Restore it from a replica, or move its folder out of the bucket"
        ) from None


def _number_of(name: str) -> int:
    return int(name.removeprefix("r"))


def _revision_and_alignment(name: str) -> tuple[int, int]:
    """``r2`` is ``(2, 0)``, ``r2-a1`` is ``(2, 1)``."""
    revision, _, alignment = name.removeprefix("r").partition("-a")
    return int(revision), int(alignment or 0)
