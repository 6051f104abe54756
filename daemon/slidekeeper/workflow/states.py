"""The states that a pack, a batch, its records, a staging and a training run can be in."""

from __future__ import annotations

import enum


class PackState(enum.StrEnum):
    """Where a pack stands in the image workflow."""

    NEW = "new"
    ARRIVED = "arrived"
    SETTLED = "settled"
    ANONYMIZED = "anonymized"
    STORED = "stored"
    CATALOGUED = "catalogued"
    DONE = "done"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"
    SUPERSEDED = "superseded"
    VANISHED = "vanished"


class BatchState(enum.StrEnum):
    """Where a batch stands."""

    NEW = "new"
    OPEN = "open"
    CLOSED = "closed"
    COMPLETED = "completed"


class RecordsState(enum.StrEnum):
    """Where the records of a batch stand."""

    NEW = "new"
    ARRIVED = "arrived"
    SETTLED = "settled"
    LOADED = "loaded"
    ALIGNED = "aligned"
    QUARANTINED = "quarantined"


class StagingState(enum.StrEnum):
    """Where a staging stands."""

    NEW = "new"
    ORDERED = "ordered"
    READY = "ready"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    REMOVED = "removed"


class RunState(enum.StrEnum):
    """Where a training run stands."""

    NEW = "new"
    RUNNING = "running"
    FINISHED = "finished"
    PROTECTED = "protected"
    RELEASED = "released"
    CLEANED = "cleaned"
    QUARANTINED = "quarantined"
    """It could not be protected, or its done-marker cannot be understood."""
    BLOCKED = "blocked"
    """It is protected, but could not be cleaned."""


ON_TIER = frozenset({StagingState.ORDERED, StagingState.READY, StagingState.QUARANTINED, StagingState.RELEASED})
"""States of a staging that has, or will have, something on its tier."""

UNDER_WAY = frozenset({PackState.ARRIVED, PackState.SETTLED, PackState.ANONYMIZED, PackState.STORED})
"""States in which a batch still waits for the pack."""
