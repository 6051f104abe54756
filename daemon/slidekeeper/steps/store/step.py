"""The store step: one rename makes a revision visible, with its facts beside it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from slidekeeper.errors import Permanent
from slidekeeper.messages.commands import StoreSlide
from slidekeeper.messages.events import SlideMislaid, SlideStored
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.ports.bucket import Bucket

FACTS = "slide.json"


@dataclass(frozen=True, slots=True)
class StoreStep:
    """Carries out :class:`StoreSlide`; doing it twice is doing it once."""

    bucket: Bucket
    withdrawn: Withdrawn

    async def run(self, command: StoreSlide) -> SlideStored | SlideMislaid:
        """Write ``slide.json`` and publish the revision's folder.

        Raises:
            Permanent: ``consent-withdrawn``; the copy is gone.
        """
        return await asyncio.to_thread(self._store, command)

    def _store(self, command: StoreSlide) -> SlideStored | SlideMislaid:
        facts = command.facts
        if facts.number in self.withdrawn:
            self.bucket.discard(command.pack)
            raise Permanent("consent-withdrawn", "consent for this slide was withdrawn while it was anonymized")
        if self.bucket.has_aside(command.pack):
            self.bucket.put(command.pack, FACTS, facts.model_dump_json(indent=2).encode())
        elif not self.bucket.has(facts.key):
            return SlideMislaid(pack=command.pack)
        self.bucket.publish(command.pack, facts.key)
        return SlideStored(pack=command.pack, facts=facts)
