"""``rebuild``: a lost state comes back from a bucket alone, or from a replica."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.adapters.snapshots.replicating import ReplicaSnapshots
from slidekeeper.bootstrap.lock import state_lock
from slidekeeper.bootstrap.places import Layout
from slidekeeper.errors import Refused
from slidekeeper.messages.events import BatchClosed, BatchOpened, Event
from slidekeeper.model.identity import BatchId
from slidekeeper.ports.snapshots import Versions
from slidekeeper.settings.loader import Settings
from slidekeeper.steps.rebuild.history import RECORDS, documents, records_events, slide_events, slides, version_events
from slidekeeper.steps.replica.mirroring import Mirror

GROUP = 500
"""Events in one transaction."""


@dataclass(slots=True)
class Rebuilt:
    """What was found in the bucket."""

    slides: int = 0
    """Revisions."""
    records: int = 0
    """Batches with records."""
    versions: int = 0
    batches: dict[BatchId, None] = field(default_factory=dict)


async def rebuild(settings: Settings, versions: Versions | None = None) -> Rebuilt:
    """Make the journal of a lost state from the bucket; the catalog follows from it at the next start.

    Killed, it leaves nothing but a file that the next attempt overwrites: the journal appears whole or not at all.

    Raises:
        Refused: there is a journal, or a daemon runs.
        Permanent: facts in the bucket are damaged.
        Unavailable: the bucket or the state's disk cannot be used.
    """
    layout = Layout(settings)
    with state_lock(settings.site.state):
        if layout.journal.exists():
            raise Refused("journal-exists", f"{layout.journal} is there", "Only a lost state is rebuilt; move this one away to insist")
        aside = layout.journal.with_name(f".{layout.journal.name}.part")
        _remove(aside)
        bucket = PosixBucket(settings.bucket.path, settings.bucket.mount)
        store = versions or PosixVersions(settings.bucket.path, settings.bucket.mount)
        rebuilt = Rebuilt()
        journal = SqliteJournal.open(aside, SystemClock(), outbox=False)
        try:
            for group in _grouped(_history(bucket, store, rebuilt)):
                await journal.commit_all(group)
        finally:
            await journal.close()
        _put_in_place(aside, layout)
    return rebuilt


def bring_back(settings: Settings, source: Path) -> None:
    """Copy everything that a replica holds into the site's bucket, verified; what is there already stays. Blocks.

    Raises:
        Permanent: an object of the replica is damaged.
        Unavailable: one of the buckets cannot be used.
    """
    replica, bucket = PosixBucket(source), PosixBucket(settings.bucket.path, settings.bucket.mount)
    mirror = Mirror(replica, bucket)
    for facts in slides(replica):
        mirror.bring(facts.key, {facts.file_name: facts.digest})
    for batch in replica.names(RECORDS):
        mirror.follow(f"{RECORDS}/{batch}")
    versions = PosixVersions(source)
    store = ReplicaSnapshots(settings.bucket.path, versions, mount=settings.bucket.mount, immutable=settings.protection.immutable)
    for document in documents(versions):
        store.copy(document.project, document.version)


def _history(bucket: PosixBucket, versions: Versions, rebuilt: Rebuilt) -> Iterator[Event]:
    for facts in slides(bucket):
        if facts.batch not in rebuilt.batches:
            rebuilt.batches[facts.batch] = None
            yield BatchOpened(batch=facts.batch, drop=facts.drop)
        rebuilt.slides += 1
        yield from slide_events(facts)
    yield from (BatchClosed(batch=batch, by="rebuild") for batch in rebuilt.batches)
    for events in records_events(bucket):
        rebuilt.records += bool(events)
        yield from events
    for document in documents(versions):
        rebuilt.versions += 1
        yield from version_events(document)


def _grouped(events: Iterator[Event]) -> Iterator[Sequence[Event]]:
    group: list[Event] = []
    for event in events:
        group.append(event)
        if len(group) >= GROUP:
            yield group
            group = []
    if group:
        yield group


def _put_in_place(aside: Path, layout: Layout) -> None:
    """A catalog that outlived its journal says what the new one does not: it goes, and is projected anew."""
    for file in (layout.catalog, layout.catalog.with_name(f"{layout.catalog.name}.wal")):
        file.unlink(missing_ok=True)
    aside.replace(layout.journal)
    folder = os.open(layout.journal.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(aside: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        aside.with_name(f"{aside.name}{suffix}").unlink(missing_ok=True)
