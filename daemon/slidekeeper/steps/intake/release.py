"""The release step: originals are kept or deleted, as the site wants, and only behind a stored copy.

A pack's sidecars have no copy in the bucket; they stay, and stay known, so that no scan takes them for a new pack.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import ValidationError

from slidekeeper.errors import Permanent
from slidekeeper.messages.commands import ReleasePack
from slidekeeper.messages.events import PackReleased
from slidekeeper.model.identity import revision_key
from slidekeeper.model.phi import Member, Role
from slidekeeper.model.slide import SlideFacts
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.drop import Drop, KnownFiles
from slidekeeper.settings.sections import DropSettings

REPLACED = frozenset({Role.IMAGE, Role.THUMBNAIL, Role.BARCODE})
"""What the stored slide stands for: its image, the thumbnail made from it, the barcode in the linking table."""


@dataclass(frozen=True, slots=True)
class ReleaseStep:
    """Carries out :class:`ReleasePack`."""

    drops: Mapping[str, Drop]
    settings: Mapping[str, DropSettings]
    known: KnownFiles
    bucket: Bucket

    async def run(self, command: ReleasePack) -> PackReleased:
        """Let go of a pack's originals."""
        if all(settings.after_ingest == "keep" for settings in self.settings.values()):
            return self._released(command, "kept")
        files = await self.known.find(command.pack)
        if files is None or files.drop not in self.drops or self.settings[files.drop].after_ingest == "keep":
            return self._released(command, "kept")
        drop = self.drops[files.drop]
        await asyncio.to_thread(drop.check_available)
        if not await asyncio.to_thread(self._is_stored, revision_key(command.number, command.revision)):
            return self._released(command, "kept", "the stored copy is not in the bucket, or not what was stored")
        try:
            await asyncio.to_thread(_delete, drop, [member for member in files.members if member.role in REPLACED])
        except Permanent as refused:
            return self._released(command, "kept", refused.reason)
        kept = tuple(member for member in files.members if member.role not in REPLACED)
        if kept:
            await self.known.remember([replace(files, members=kept)])
            return self._released(command, "deleted", f"sidecars kept, for the bucket has no copy of them: {len(kept)}")
        await self.known.forget(command.pack)
        return self._released(command, "deleted")

    def _is_stored(self, key: str) -> bool:
        """Whether the copy's bytes, read once more, are those that were proven; nothing else allows to delete an original."""
        try:
            facts = SlideFacts.model_validate_json(self.bucket.read(f"{key}/slide.json"))
            return self.bucket.digest(f"{key}/{facts.file_name}") == facts.digest
        except (FileNotFoundError, ValidationError):
            return False

    def _released(self, command: ReleasePack, originals: Literal["kept", "deleted"], detail: str = "") -> PackReleased:
        return PackReleased(pack=command.pack, originals=originals, detail=detail)


def _delete(drop: Drop, members: Sequence[Member]) -> None:
    for member in members:
        drop.delete(member)
