"""Reads every stored object once in so many days, slowly, so that silent damage is found while a replica still has the bytes.

Level-triggered: a small file remembers where the round is; a restart goes on there. A round first reads what is stored, by key, then looks
whether everything is there that the versions need.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from slidekeeper.errors import SlidekeeperError
from slidekeeper.messages.events import Event, VersionDamaged, VersionHealed
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.snapshots import Damage, Versions
from slidekeeper.ports.upkeep import StoredObject, Upkeep
from slidekeeper.settings.training import ProtectionSettings
from slidekeeper.steps.versions.needs import Needs
from slidekeeper.steps.versions.pacing import Pacer
from slidekeeper.steps.versions.verification import affected_by, all_versions

log = structlog.get_logger(__name__)

LOOK_SECONDS = 600.0
"""Interval at which the time for a new round is looked for, and a bucket that is away."""
SAVED_BYTES = 1 << 30
"""The place is remembered after so much was read; what was read since is read again after a crash."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the round is."""

    begun: str = ""
    """Time of its beginning, ISO 8601; empty before the first."""
    after: str = ""
    """The last key that was read; empty when the round is done, or has not begun to read."""
    done: bool = True


class Scrub:
    """A background service of the daemon."""

    def __init__(
        self,
        store: Versions,
        upkeep: Upkeep,
        settings: ProtectionSettings,
        file: Path,
        report: Callable[[Event], Awaitable[object]],
        clock: Clock,
    ) -> None:
        """``file`` holds the place between restarts; ``report`` takes events."""
        self._store = store
        self._upkeep = upkeep
        self._settings = settings
        self._file = file
        self._report = report
        self._clock = clock
        self._place = self._load()

    async def run(self) -> None:
        """Round after round, for ever; at once when the last one was broken off."""
        while self._settings.scrub_days:
            try:
                if not self._place.done or self._is_due():
                    await self.round()
            except SlidekeeperError as trouble:
                log.warning("scrub interrupted", reason=trouble.reason, detail=trouble.detail)
            await asyncio.sleep(LOOK_SECONDS)

    async def round(self) -> None:
        """Begin a round, or go on with one that was broken off, and finish it."""
        if self._place.done:
            self._remember(Place(self._clock.now().isoformat(), "", done=False))
        pacer, unsaved = Pacer(self._settings.scrub_megabytes_per_second * 1e6), 0
        objects = self._upkeep.objects(self._place.after)
        while (stored := await asyncio.to_thread(next, objects, None)) is not None:
            await self._read(stored, pacer)
            unsaved += stored.size
            self._place = replace(self._place, after=stored.key)
            if unsaved >= SAVED_BYTES:
                self._remember(self._place)
                unsaved = 0
        for key in await asyncio.to_thread(self._missing):
            await self._treat(Damage(key, "missing"))
        self._remember(Place(self._place.begun))
        self._tell_if_late()

    async def _read(self, stored: StoredObject, pacer: Pacer) -> None:
        damage = await asyncio.to_thread(self._upkeep.check, stored.key, pacer.spend)
        if damage is not None and await asyncio.to_thread(self._upkeep.has, stored.key):  # else retention removed it meanwhile
            await self._treat(damage)

    async def _treat(self, damage: Damage) -> None:
        """Report damage for every version that suffers from it, then heal it."""
        affected = await asyncio.to_thread(lambda: affected_by(self._store, all_versions(self._store), {damage.key}))
        kind = damage.key.partition("/")[0]
        log.error("stored object damaged", kind=kind, damage=damage.reason, versions=len(affected))
        for version in affected:
            await self._report(
                VersionDamaged(project=version.project, version=version.version, objects=1, detail=f"{kind}: {damage.reason}")
            )
        if await asyncio.to_thread(self._upkeep.heal, damage.key):
            for version in affected:
                await self._report(VersionHealed(project=version.project, version=version.version, objects=1))

    def _missing(self) -> list[str]:
        """Keys that some version needs and that are not there."""
        documents = [self._store.document(version.project, version.version) for version in all_versions(self._store)]
        return [key for key in Needs(self._store).of(documents) if not self._upkeep.has(key)]

    def _is_due(self) -> bool:
        begun = datetime.fromisoformat(self._place.begun) if self._place.begun else None
        return begun is None or self._clock.now() - begun >= timedelta(days=self._settings.scrub_days)

    def _tell_if_late(self) -> None:
        if self._is_due():
            remedy = "raise [protection] scrub_megabytes_per_second or scrub_days"
            log.warning("scrub takes longer than it may", days=self._settings.scrub_days, remedy=remedy)

    def _load(self) -> Place:
        with suppress(FileNotFoundError, ValueError, TypeError):
            return Place(**json.loads(self._file.read_text()))
        return Place()

    def _remember(self, place: Place) -> None:
        self._place = place
        part = self._file.with_name(self._file.name + ".part")
        part.write_text(json.dumps(asdict(place)))
        part.replace(self._file)
