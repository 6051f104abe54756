"""Which rows an event adds to which table; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from slidekeeper.adapters.catalog.training import TRAINING_TABLES, training_rows
from slidekeeper.messages import events as fact
from slidekeeper.model.records import AlignmentFacts, RecordsFacts
from slidekeeper.model.slide import SlideFacts
from slidekeeper.ports.journal import Recorded
from slidekeeper.workflow.states import BatchState, PackState

TABLES = (
    "stored_revisions",
    "pack_history",
    "batch_history",
    "records_history",
    "alignment_history",
    "withdrawn_slides",
    *TRAINING_TABLES,
)
"""What events add rows to."""

Rows = dict[str, list[Mapping[str, Any]]]

PACK_STATES: Mapping[type, PackState] = {
    fact.PackArrived: PackState.ARRIVED,
    fact.PackRetried: PackState.ARRIVED,
    fact.PackChanged: PackState.ARRIVED,
    fact.PackSettled: PackState.SETTLED,
    fact.PackQuarantined: PackState.QUARANTINED,
    fact.PackDiscarded: PackState.DISCARDED,
    fact.PackSuperseded: PackState.SUPERSEDED,
    fact.PackVanished: PackState.VANISHED,
    fact.PackDuplicated: PackState.DUPLICATE,
    fact.SlideStored: PackState.STORED,
}
"""States that the catalog shows; those that last for moments only are the journal's business."""

BATCH_STATES: Mapping[type, BatchState] = {
    fact.BatchOpened: BatchState.OPEN,
    fact.BatchClosed: BatchState.CLOSED,
    fact.BatchCompleted: BatchState.COMPLETED,
}


RECORDS_STATES: Mapping[type, str | None] = {
    fact.RecordsArrived: "arrived",
    fact.RecordsRetried: "arrived",
    fact.RecordsSettled: "settled",
    fact.RecordsLoaded: "loaded",
    fact.RecordsOutdated: "loaded",
    fact.RecordsAligned: "aligned",
    fact.RecordsQuarantined: "quarantined",
    fact.RecordsWithdrawn: None,
}
"""Where records stand after an event; rows that are taken out leave the rest where it stood."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a page of events changes: rows of slides that go, and then rows that come."""

    rows: Rows = field(default_factory=lambda: {table: [] for table in TABLES})
    """Rows that are added, by table."""
    removed: set[str] = field(default_factory=set)
    """Slides whose revisions of earlier pages are deleted."""
    settled: set[str] = field(default_factory=set)
    """Slides whose withdrawal of earlier pages has come to its end."""

    def withdraw(self, slides: Collection[str], recorded: Recorded) -> None:
        """Delete the slides, and hide what may still come of them."""
        self._remove(slides)
        self.rows["withdrawn_slides"].extend({"number": slide, "seq": recorded.seq} for slide in slides)

    def settle(self, slides: Collection[str]) -> None:
        """The slides are gone from everywhere: forget that they are withdrawn, too."""
        self._remove(slides)
        self._drop("withdrawn_slides", slides)
        self.settled.update(slides)

    def _remove(self, slides: Collection[str]) -> None:
        self._drop("stored_revisions", slides)
        self.removed.update(slides)

    def _drop(self, table: str, slides: Collection[str]) -> None:
        self.rows[table] = [row for row in self.rows[table] if row["number"] not in slides]


def changes_of(events: Iterable[Recorded]) -> Changes:
    """What ``events`` change, in their order."""
    changes = Changes()
    for recorded in events:
        _apply(recorded, changes)
    return changes


def _apply(recorded: Recorded, changes: Changes) -> None:
    event, rows = recorded.event, changes.rows
    if isinstance(event, fact.SlideStored):
        rows["stored_revisions"].append(_revision(event.facts, recorded))
    if type(event) in PACK_STATES and isinstance(event, fact.PackEvent):
        rows["pack_history"].append(_pack(event, recorded))
    if type(event) in BATCH_STATES and isinstance(event, fact.BatchEvent):
        rows["batch_history"].append(_batch(event, recorded))
    if type(event) in RECORDS_STATES and isinstance(event, fact.RecordsEvent):
        rows["records_history"].append(_records(event, recorded))
    if isinstance(event, fact.RecordsAligned):
        rows["alignment_history"].append(_alignment(event.facts, recorded))
    if isinstance(event, fact.RecordsWithdrawn):
        rows["alignment_history"].append(_no_alignment(event.facts, recorded))
    if isinstance(event, fact.ConsentWithdrawn):
        changes.withdraw(event.slides, recorded)
    if isinstance(event, fact.SlidesRemoved):
        changes.settle(event.slides)
    for table, row in training_rows(recorded):
        rows[table].append(row)


def _revision(facts: SlideFacts, recorded: Recorded) -> Mapping[str, Any]:
    image = facts.image.model_dump(mode="json")
    return {
        **facts.model_dump(mode="json", exclude={"image", "drop"}),
        **image,
        "drop_name": facts.drop,
        "width": facts.image.levels[0].width,
        "height": facts.image.levels[0].height,
        "key": facts.key,
        "stored": _utc(recorded),
    }


def _pack(event: fact.PackEvent, recorded: Recorded) -> Mapping[str, Any]:
    return {
        "pack": event.pack,
        "drop_name": getattr(event, "drop", None),
        "batch": getattr(event, "batch", None),
        "state": PACK_STATES[type(event)].value,
        "reason": getattr(event, "reason", ""),
        "seq": recorded.seq,
        "time": _utc(recorded),
    }


def _batch(event: fact.BatchEvent, recorded: Recorded) -> Mapping[str, Any]:
    return {
        "batch": event.batch,
        "drop_name": getattr(event, "drop", None),
        "state": BATCH_STATES[type(event)].value,
        "packs": getattr(event, "packs", None),
        "catalogued": getattr(event, "catalogued", None),
        "seq": recorded.seq,
        "time": _utc(recorded),
    }


def _records(event: fact.RecordsEvent, recorded: Recorded) -> Mapping[str, Any]:
    state = RECORDS_STATES[type(event)]
    loaded = event.facts if isinstance(event, (fact.RecordsLoaded, fact.RecordsWithdrawn)) else None
    aligned = event.facts if isinstance(event, fact.RecordsAligned) else None
    told = loaded or aligned or event
    return {
        "records": event.records,
        "revision": getattr(told, "revision", None),
        "batch": getattr(told, "batch", None),
        "state": state,
        "reason": getattr(event, "reason", "") if state else None,
        "key": loaded.key if loaded else None,
        "sources": loaded.model_dump(mode="json")["sources"] if loaded else None,
        "seq": recorded.seq,
        "time": _utc(recorded),
    }


def _alignment(facts: AlignmentFacts, recorded: Recorded) -> Mapping[str, Any]:
    return {**facts.model_dump(mode="json"), "seq": recorded.seq, "time": _utc(recorded)}


def _no_alignment(facts: RecordsFacts, recorded: Recorded) -> Mapping[str, Any]:
    """What was aligned before named the rows that are gone: until they are aligned anew, there is none."""
    return {"records": facts.records, "revision": facts.revision, "seq": recorded.seq, "time": _utc(recorded)}


def _utc(recorded: Recorded) -> str:
    """The time as the catalog keeps it: UTC, without an offset."""
    return recorded.time.astimezone(UTC).replace(tzinfo=None).isoformat()
