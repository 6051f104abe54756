"""What was decided about versions: a pure fold of the journal's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from slidekeeper.messages.events import Event, VersionExpired, VersionFreed, VersionHeld, VersionRemoved

TYPES = ("version.held", "version.freed", "version.expired", "version.removed")
"""Events that change a version's standing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a version stands with retention."""

    held_until: date | None = None
    remove_after: datetime | None = None
    """The end of the grace period of a version that is marked for removal."""
    removed: bool = False


@dataclass(frozen=True, slots=True)
class VersionId:
    """Names one version."""

    project: str
    version: int


def standings(events: Iterable[Event]) -> Mapping[VersionId, Standing]:
    """The standing of every version that something was decided about; a hold, and the end of one, takes a mark away."""
    found: dict[VersionId, Standing] = {}
    for event in events:
        if isinstance(event, VersionHeld | VersionFreed | VersionExpired | VersionRemoved):
            version = VersionId(event.project, event.version)
            found[version] = _after(found.get(version, Standing()), event)
    return found


def _after(standing: Standing, event: VersionHeld | VersionFreed | VersionExpired | VersionRemoved) -> Standing:
    match event:
        case VersionHeld():
            return replace(standing, held_until=event.until, remove_after=None)
        case VersionFreed():
            return replace(standing, held_until=None, remove_after=None)
        case VersionExpired():
            return replace(standing, remove_after=event.remove_after)
        case VersionRemoved():
            return replace(standing, removed=True)
