"""What a restart has to put right before the lanes start: copies aside that no pack will ever claim."""

from __future__ import annotations

import asyncio

from slidekeeper.model.identity import PackId
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.journal import Journal
from slidekeeper.workflow.states import PackState


async def sweep_asides(bucket: Bucket, journal: Journal) -> int:
    """Discard every copy that lies aside and is not waiting to be stored; returns how many.

    Only a pack that is ``anonymized`` still needs its copy; one that is ``settled`` will be written afresh.
    """
    discarded = 0
    for aside in await asyncio.to_thread(bucket.asides):
        row = await journal.pack(PackId(aside))
        if row is None or row.state is not PackState.ANONYMIZED:
            await asyncio.to_thread(bucket.discard, aside)
            discarded += 1
    return discarded
