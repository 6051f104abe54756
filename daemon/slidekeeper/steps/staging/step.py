"""The steps ``stage`` and ``unstage``: a cohort comes to its tier, and leaves it again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.messages.commands import RemoveStaging, StageCohort
from slidekeeper.messages.events import StagingCompleted, StagingRemoved
from slidekeeper.model.manifest import LABELS, MANIFEST, Plan, StagedImage, manifest_of
from slidekeeper.model.staging import StagingFacts, StagingId
from slidekeeper.ports.cohorts import Cohorts
from slidekeeper.ports.journal import Journal
from slidekeeper.ports.stagings import Plans
from slidekeeper.ports.tier import StagingFolder, Stopped, Tier
from slidekeeper.settings.training import TierSettings
from slidekeeper.steps.staging.copying import Copying
from slidekeeper.steps.staging.labels import label_files
from slidekeeper.steps.staging.plan import portions
from slidekeeper.steps.staging.running import Progress, Rate, Running
from slidekeeper.workflow.states import StagingState

log = structlog.get_logger(__name__)

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class StagingPorts:
    """What all parts of staging use."""

    journal: Journal
    plans: Plans
    cohorts: Cohorts
    tiers: Mapping[str, Tier]
    settings: Mapping[str, TierSettings]
    running: Running

    def tier(self, name: str) -> Tier:
        """A tier of the settings.

        Raises:
            Permanent: there is none of this name any more.
        """
        if name not in self.tiers:
            raise Permanent("unknown-tier", "the settings have no such tier any more", "Restore its section, or release the staging")
        return self.tiers[name]


class StageStep:
    """Copies a cohort; what an earlier attempt copied and verified is not copied again."""

    def __init__(self, ports: StagingPorts) -> None:
        self._ports = ports

    async def run(self, command: StageCohort) -> StagingCompleted | None:
        """Copy until all is there; None when the staging was released meanwhile, or the daemon stops.

        Whoever stops the copy has changed the plan or the staging's state before: so both are looked at anew.

        Raises:
            Permanent: a slide is missing or damaged everywhere, the plan is gone, or something else lies on the target.
            Unavailable: a place cannot be used.
        """
        while not self._ports.running.closing:
            progress = self._ports.running.begin(command.staging)
            try:
                row = await self._ports.journal.staging(command.staging)
                if row is None or row.state is not StagingState.ORDERED:
                    return None
                facts = await asyncio.to_thread(self._stage, command.staging, progress)
                return StagingCompleted(staging=command.staging, facts=facts)
            except Stopped:
                log.info("staging stopped", staging=command.staging)
            finally:
                self._ports.running.end(command.staging)
        return None

    def _stage(self, staging: StagingId, progress: Progress) -> StagingFacts:
        plan = self._ports.plans.read(staging)
        if plan is None:
            raise Permanent("plan-missing", "the staging's plan is gone from the state folder", "Release it, and order it anew")
        tier = self._ports.tier(plan.tier)
        folder = tier.open(plan.name, plan.staging)
        try:
            manifest = self._copy(plan, tier, folder, progress)
        finally:
            folder.close()
        seconds = round(time.monotonic() - progress.started, 3)
        return StagingFacts(files=len(plan.images), size=plan.size, copied=progress.copied, seconds=seconds, manifest=manifest)

    def _copy(self, plan: Plan, tier: Tier, folder: StagingFolder, progress: Progress) -> str:
        verified = folder.verified()
        there = [image.size for image in plan.images if verified.get(image.name) == image.size]
        progress.expect(plan.size, len(plan.images), sum(there), len(there))
        _check_space(plan.tier, tier, plan.size - progress.verified)
        settings = self._ports.settings[plan.tier]

        def note_damage(image: StagedImage, found: str) -> None:
            log.error("bucket object damaged", number=image.number, revision=image.revision, staging=plan.staging)
            self._ports.plans.note_damage(image, plan.staging, found)

        copying = Copying(folder, tier.replicas, progress, Rate(settings.megabytes_per_second * MEGABYTE), note_damage)
        copying.run(portions(plan.images, verified), settings.copies)
        labels, files = label_files(self._ports.cohorts, self._ports.plans.rows(plan.staging))
        return folder.complete(manifest_of(plan, files), labels)


def _check_space(name: str, tier: Tier, wanted: int) -> None:
    if wanted > tier.free():
        detail = f"{wanted} bytes are to be copied, {tier.free()} are free beyond the reserve"
        raise Unavailable(f"tier:{name}", "disk-full", detail, "Release stagings or free space; work goes on by itself")


class UnstageStep:
    """Removes a staging from its tier, and its plan from the state."""

    def __init__(self, ports: StagingPorts) -> None:
        self._ports = ports

    async def run(self, command: RemoveStaging) -> StagingRemoved | None:
        """Remove what the plan lists.

        Raises:
            Unavailable: the tier cannot be used.
        """
        row = await self._ports.journal.staging(command.staging)
        if row is None or row.state is not StagingState.RELEASED:
            return None
        return await asyncio.to_thread(self._remove, command.staging, row.name, row.tier)

    def _remove(self, staging: StagingId, name: str, tier_name: str) -> StagingRemoved:
        self._ports.running.stop(staging)
        tier = self._ports.tier(tier_name)
        removal = tier.remove(name, staging, self._targets(staging, name, tier))
        self._ports.plans.forget(staging)
        return StagingRemoved(staging=staging, files=removal.files, size=removal.size, left=removal.left)

    def _targets(self, staging: StagingId, name: str, tier: Tier) -> Mapping[str, int]:
        """Paths of the plan's files; where the plan is lost, those of the manifest on the tier."""
        plan = self._ports.plans.read(staging)
        if plan is not None:
            return {image.target: image.size for image in plan.images} | dict.fromkeys((*LABELS, MANIFEST), 0)
        manifest = tier.manifest(name)
        listed = manifest.files if manifest is not None and manifest.staging == staging else ()
        return {entry.target: entry.size for entry in listed} | dict.fromkeys((*LABELS, MANIFEST), 0)
