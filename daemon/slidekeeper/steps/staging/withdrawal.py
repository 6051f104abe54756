"""Takes slides whose consent is withdrawn out of every staging: image, rows, plan and manifest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.manifest import Plan, StagedImage, manifest_of
from slidekeeper.steps.staging.labels import label_files
from slidekeeper.steps.staging.step import StagingPorts
from slidekeeper.workflow.states import ON_TIER

log = structlog.get_logger(__name__)

MANY = 100_000


class StagedWithdrawals:
    """Called by the withdrawal; doing it again changes nothing."""

    def __init__(self, ports: StagingPorts) -> None:
        self._ports = ports

    async def remove(self, numbers: Sequence[SlideNumber]) -> int:
        """Remove these slides from all stagings; returns from how many plans they were taken.

        Raises:
            Unavailable: a tier that holds some of them cannot be used.
        """
        rows = await self._ports.journal.stagings(ON_TIER, limit=MANY)
        gone = frozenset(numbers)
        return sum([await asyncio.to_thread(self._revise, plan, gone) for row in rows if (plan := self._ports.plans.read(row.staging))])

    def _revise(self, plan: Plan, numbers: frozenset[SlideNumber]) -> bool:
        """The plan last: as long as it names a slide, what a kill interrupted is done again."""
        gone = [image for image in plan.images if image.number in numbers]
        if not gone:
            return False
        images = tuple(image for image in plan.images if image.number not in numbers)
        revised = plan.model_copy(update={"images": images, "withdrawn": plan.withdrawn + len(gone)})
        self._ports.cohorts.without(self._ports.plans.rows(plan.staging), sorted(numbers))
        self._take_away(revised, gone)
        self._ports.plans.write(revised)
        self._ports.running.stop(plan.staging)  # it may have begun with the old plan
        self._take_away(revised, gone)
        log.info("withdrawn from staging", staging=plan.staging, slides=len(gone))
        return True

    def _take_away(self, revised: Plan, gone: Sequence[StagedImage]) -> None:
        labels, files = label_files(self._ports.cohorts, self._ports.plans.rows(revised.staging))
        self._ports.tier(revised.tier).revise(manifest_of(revised, files), labels, gone)
