"""The release step: originals are kept or deleted, as the site wants, and only behind a stored copy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import ValidationError

from slidekeeper.errors import Permanent
from slidekeeper.messages.commands import ReleasePack
from slidekeeper.messages.events import PackReleased
from slidekeeper.model.identity import revision_key
from slidekeeper.model.phi import PackFiles
from slidekeeper.model.slide import SlideFacts
from slidekeeper.ports.bucket import Bucket
from slidekeeper.ports.drop import Drop, KnownFiles
from slidekeeper.settings.sections import DropSettings


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
            await asyncio.to_thread(_delete, drop, files)
        except Permanent as refused:
            return self._released(command, "kept", refused.reason)
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


def _delete(drop: Drop, files: PackFiles) -> None:
    for member in files.members:
        drop.delete(member)
