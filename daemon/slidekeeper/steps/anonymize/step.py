"""The anonymize step: hands a settled pack to a worker and finds out which slide it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from slidekeeper.errors import Permanent, SourceChanged
from slidekeeper.messages.commands import AnonymizePack
from slidekeeper.messages.events import PackChanged, PackDuplicated, PackQuarantined, PackVanished, SlideAnonymized
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.phi import PackFiles
from slidekeeper.ports.drop import Drop, KnownFiles
from slidekeeper.ports.executor import Executor
from slidekeeper.ports.journal import Journal
from slidekeeper.ports.linking import KnownContent, Linking, NewRevision
from slidekeeper.settings.sections import AnonymizeSettings, DropSettings
from slidekeeper.steps.anonymize.identity import Verdict, judge
from slidekeeper.steps.anonymize.job import AnonymizeOutcome, anonymize_slide
from slidekeeper.steps.anonymize.request import Tools, facts_of, original_name, request_of

Outcome: TypeAlias = SlideAnonymized | PackDuplicated | PackChanged | PackVanished | PackQuarantined


@dataclass(frozen=True, slots=True)
class AnonymizeStep:
    """Carries out :class:`AnonymizePack`."""

    drops: Mapping[str, Drop]
    drop_settings: Mapping[str, DropSettings]
    known: KnownFiles
    linking: Linking
    journal: Journal
    executor: Executor
    tools: Tools
    settings: AnonymizeSettings
    version: str

    async def run(self, command: AnonymizePack) -> Outcome:
        """Anonymize a pack; see :func:`slidekeeper.steps.anonymize.job.anonymize_slide` for what may be raised."""
        files = await self.known.find(command.pack)
        if files is None or files.drop not in self.drops:
            raise Permanent("unknown-files", "the restricted index or the settings no longer know this pack's drop folder")
        number = await self.linking.slide_number(files.barcode, original_name(files))
        try:
            outcome = await self._work(files, number)
        except SourceChanged:
            return await self._changed(files)
        try:
            return await self._identify(files, number, outcome)
        except Permanent:
            await asyncio.to_thread(self.tools.bucket.discard, files.pack)
            raise

    async def _work(self, files: PackFiles, number: SlideNumber) -> AnonymizeOutcome:
        request = request_of(files, self.drops[files.drop], number, self.tools)
        return await self.executor.run(anonymize_slide, request, self.settings.timeout_seconds)

    async def _changed(self, files: PackFiles) -> PackChanged | PackVanished:
        """Changed or gone; only a drop folder that is there can say that a file is not."""
        drop = self.drops[files.drop]
        await asyncio.to_thread(drop.check_available)
        there = [await asyncio.to_thread(drop.identify, image.path) for image in files.images]
        return PackChanged(pack=files.pack) if all(there) else PackVanished(pack=files.pack)

    async def _identify(self, files: PackFiles, number: SlideNumber, outcome: AnonymizeOutcome) -> Outcome:
        content = outcome.written.source_digest
        claim = await self.linking.claim(number, content, files.pack)
        owner = await self.journal.pack(claim.owner) if isinstance(claim, KnownContent) else None
        verdict = judge(claim, number, owner.state if owner else None, self.drop_settings[files.drop].on_rescan)
        if verdict is Verdict.TAKE_OVER and isinstance(claim, KnownContent):
            claim = await self.linking.take_over(content, claim.owner, files.pack, number)
            verdict = judge(claim, number, None, self.drop_settings[files.drop].on_rescan)
        if verdict is Verdict.STORE and isinstance(claim, NewRevision):
            return SlideAnonymized(pack=files.pack, facts=facts_of(files, claim.number, claim.revision, outcome, self.version))
        await asyncio.to_thread(self.tools.bucket.discard, files.pack)
        match verdict:
            case Verdict.DUPLICATE:
                return PackDuplicated(pack=files.pack, number=claim.number, revision=claim.revision)
            case Verdict.RESCAN:
                return self._held(files, "rescan", "the slide is known with other content, and the site wants a person to look")
            case _:
                return self._held(files, "barcode-conflict", f"the same content is known as slide {claim.number}")

    def _held(self, files: PackFiles, reason: str, detail: str) -> PackQuarantined:
        return PackQuarantined(pack=files.pack, step="anonymize", reason=reason, detail=detail)
