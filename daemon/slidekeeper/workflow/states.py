"""The states that a pack, a batch and its records can be in."""

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


UNDER_WAY = frozenset({PackState.ARRIVED, PackState.SETTLED, PackState.ANONYMIZED, PackState.STORED})
"""States in which a batch still waits for the pack."""
