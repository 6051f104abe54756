"""Which rows an event about stagings, runs and versions adds; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import Any

from slidekeeper.messages import events as fact
from slidekeeper.ports.journal import Recorded
from slidekeeper.workflow.states import RunState, StagingState

TRAINING_TABLES = ("staging_history", "run_history", "version_history")

STAGING_STATES: Mapping[type, StagingState] = {
    fact.StagingOrdered: StagingState.ORDERED,
    fact.StagingRetried: StagingState.ORDERED,
    fact.StagingCompleted: StagingState.READY,
    fact.StagingQuarantined: StagingState.QUARANTINED,
    fact.StagingReleased: StagingState.RELEASED,
    fact.StagingRemoved: StagingState.REMOVED,
}

RUN_STATES: Mapping[type, RunState | None] = {
    fact.RunAppeared: RunState.RUNNING,
    fact.RunFinished: RunState.FINISHED,
    fact.RunProtected: RunState.PROTECTED,
    fact.RunReleased: RunState.RELEASED,
    fact.RunCleaned: RunState.CLEANED,
}
"""Runs that are held for a person keep the state they had, and show the reason."""


def training_rows(recorded: Recorded) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Tables and the rows that an event adds to them."""
    event = recorded.event
    when = {"seq": recorded.seq, "time": recorded.time.astimezone(UTC).replace(tzinfo=None).isoformat()}
    match event:
        case fact.StagingEvent() if type(event) in STAGING_STATES:
            yield "staging_history", {**_staging(event), **when}
        case fact.RunEvent() if type(event) in RUN_STATES or isinstance(event, fact.RunQuarantined):
            yield "run_history", {**_run(event), **when}
    match event:
        case fact.RunProtected(facts=facts):
            yield "version_history", {**facts.model_dump(mode="json"), "run": event.run, "change": "created", **when}
        case fact.VersionEvent():
            changed = {"project": event.project, "version": event.version, "change": event.type.removeprefix("version.")}
            yield "version_history", {**changed, "until": until.isoformat() if (until := getattr(event, "until", None)) else None, **when}


def _staging(event: fact.StagingEvent) -> Mapping[str, Any]:
    ordered = event if isinstance(event, fact.StagingOrdered) else None
    return {
        "staging": event.staging,
        "name": ordered.name if ordered else None,
        "tier": ordered.tier if ordered else None,
        "sql": ordered.cohort.sql if ordered else None,
        "slides": ordered.cohort.slides if ordered else None,
        "size": ordered.cohort.size if ordered else None,
        "state": STAGING_STATES[type(event)].value,
        "reason": getattr(event, "reason", ""),
    }


def _run(event: fact.RunEvent) -> Mapping[str, Any]:
    place = getattr(event, "place", None)
    state = RUN_STATES.get(type(event))
    return {
        "run": event.run,
        "project": place.project if place else None,
        "name": place.name if place else None,
        "state": state.value if state else None,
        "status": event.marker.status if isinstance(event, fact.RunFinished) else None,
        "version": event.facts.version if isinstance(event, fact.RunProtected) else None,
        "reason": event.reason if isinstance(event, fact.RunQuarantined) else "",
    }
