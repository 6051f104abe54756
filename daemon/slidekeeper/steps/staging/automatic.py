"""Stages by policy: when records were aligned and a policy's cohort is another than before, its next staging is ordered."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence

import structlog

from slidekeeper.errors import Refused, SlidekeeperError
from slidekeeper.ports.journal import Journal, StagingRow
from slidekeeper.settings.training import StagingPolicySettings
from slidekeeper.steps.staging.ordering import Stagings

log = structlog.get_logger(__name__)

ALIGNED = ("records.aligned",)
MANY = 100_000


class AutoStaging:
    """Looks whenever alignments were made; what could not be ordered is tried at the next look."""

    def __init__(self, journal: Journal, stagings: Stagings, policies: Mapping[str, StagingPolicySettings], seconds: float) -> None:
        """``seconds``: pause between two looks."""
        self._journal = journal
        self._stagings = stagings
        self._policies = policies
        self._seconds = seconds
        self._seen = 0

    async def run(self) -> None:
        """Look for ever."""
        while self._policies:
            try:
                await self.look()
            except SlidekeeperError as trouble:
                log.warning("no staging by policy", reason=trouble.reason, detail=trouble.detail)
            await asyncio.sleep(self._seconds)

    async def look(self) -> None:
        """Order what has changed since the last alignment that was looked at."""
        newest = await self._journal.latest(1, ALIGNED)
        if not newest or newest[-1].seq == self._seen:
            return
        for name, policy in self._policies.items():
            await self._stage(name, policy)
        self._seen = newest[-1].seq

    async def _stage(self, policy: str, settings: StagingPolicySettings) -> None:
        last, number = newest_of(policy, await self._journal.stagings(limit=MANY))
        cohort = await self._stagings.cohort(settings.tier, settings.where)
        if cohort.slides == 0 or (last is not None and last.cohort.digest == cohort.digest):
            return
        try:
            await self._stagings.order(f"{policy}-{number + 1}", settings.tier, settings.where, (), f"policy {policy}")
        except Refused as refused:
            log.warning("policy not staged", policy=policy, reason=refused.reason, detail=refused.detail)
            raise


def newest_of(policy: str, rows: Sequence[StagingRow]) -> tuple[StagingRow | None, int]:
    """The policy's newest staging and its number; None and 0 where there is none."""
    pattern = re.compile(rf"{re.escape(policy)}-(\d+)")
    numbered = [(int(match[1]), row) for row in rows if (match := pattern.fullmatch(row.name))]
    if not numbered:
        return None, 0
    number, row = max(numbered, key=lambda each: each[0])
    return row, number
