"""Records the story of stored slides in a journal."""

from __future__ import annotations

from slidekeeper.messages.commands import CatalogSlide
from slidekeeper.messages.events import BatchOpened, PackArrived, PackSettled, SlideAnonymized, SlideStored
from slidekeeper.model.slide import SlideFacts
from slidekeeper.ports.journal import Journal

ORDER = CatalogSlide(pack=f"{1:016x}", number=str(10**11 + 1), revision=1)


def facts_of(seed: int) -> SlideFacts:
    """Facts of a made-up slide."""
    return SlideFacts.model_validate(
        {
            "number": str(10**11 + seed),
            "revision": 1,
            "pack": f"{seed:016x}",
            "batch": f"{seed:012x}",
            "drop": "scanner",
            "image": {
                "format": "aperio",
                "extension": ".svs",
                "levels": [{"width": 9, "height": 8, "tile_width": 4, "tile_height": 4}],
                "compression": "jpeg",
            },
            "size": 100 + seed,
            "digest": "blake3:" + "0" * 64,
            "seconds": 0.5,
            "anonymizer": "1",
        }
    )


async def record_stored_slide(journal: Journal, seed: int) -> None:
    """Five events: the slide's batch, its pack, and its way into the bucket."""
    facts = facts_of(seed)
    await journal.commit_all(
        [
            BatchOpened(batch=facts.batch, drop="scanner"),
            PackArrived(pack=facts.pack, drop="scanner", batch=facts.batch),
            PackSettled(pack=facts.pack, files=1, size=facts.size, waited_seconds=1.0),
            SlideAnonymized(pack=facts.pack, facts=facts),
            SlideStored(pack=facts.pack, facts=facts),
        ]
    )
