"""When a batch is complete, and how its packs are counted."""

from __future__ import annotations

from collections.abc import Mapping

from slidekeeper.messages.events import BatchCompleted
from slidekeeper.model.identity import BatchId
from slidekeeper.workflow.states import UNDER_WAY, BatchState, PackState


def completion(batch: BatchId, state: BatchState, counts: Mapping[PackState, int]) -> BatchCompleted | None:
    """The completion of a closed batch whose last pack came to rest, or None while it is open or packs are under way.

    ``counts`` holds the number of the batch's packs per state.
    """
    if state is not BatchState.CLOSED or any(counts.get(waiting, 0) for waiting in UNDER_WAY):
        return None
    packs = sum(counts.values())
    catalogued = counts.get(PackState.CATALOGUED, 0) + counts.get(PackState.DONE, 0)
    duplicates = counts.get(PackState.DUPLICATE, 0)
    quarantined = counts.get(PackState.QUARANTINED, 0)
    return BatchCompleted(
        batch=batch,
        packs=packs,
        catalogued=catalogued,
        duplicates=duplicates,
        quarantined=quarantined,
        others=packs - catalogued - duplicates - quarantined,
    )
