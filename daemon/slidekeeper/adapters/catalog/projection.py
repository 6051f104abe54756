"""Which rows an event adds to which table; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any

from slidekeeper.messages import events as fact
from slidekeeper.model.slide import SlideFacts
from slidekeeper.ports.journal import Recorded
from slidekeeper.workflow.states import BatchState, PackState

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


def rows_of(events: Iterable[Recorded]) -> Rows:
    """The rows that ``events`` add, by table."""
    rows: Rows = {"stored_revisions": [], "pack_history": [], "batch_history": []}
    for recorded in events:
        event = recorded.event
        if isinstance(event, fact.SlideStored):
            rows["stored_revisions"].append(_revision(event.facts, recorded))
        if type(event) in PACK_STATES and isinstance(event, fact.PackEvent):
            rows["pack_history"].append(_pack(event, recorded))
        if type(event) in BATCH_STATES and isinstance(event, fact.BatchEvent):
            rows["batch_history"].append(_batch(event, recorded))
    return rows


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


def _utc(recorded: Recorded) -> str:
    """The time as the catalog keeps it: UTC, without an offset."""
    return recorded.time.astimezone(UTC).replace(tzinfo=None).isoformat()
