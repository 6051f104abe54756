"""Holds versions, marks by policy those that are to go, and removes them when their grace period is over: journaled at every step.

Marking is an order (`retention --apply`); removal follows by itself, and only of versions that policy and holds still do not keep then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import structlog

from slidekeeper.errors import Permanent, Refused, SlidekeeperError
from slidekeeper.messages.events import Event, VersionExpired, VersionFreed, VersionHeld, VersionRemoved
from slidekeeper.model.stored import version_key
from slidekeeper.model.version import VersionDocument, parse_reference
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal
from slidekeeper.ports.snapshots import Versions
from slidekeeper.ports.upkeep import Upkeep
from slidekeeper.settings.training import RetentionSettings
from slidekeeper.steps.versions.collection import collect_garbage
from slidekeeper.steps.versions.retention import Candidate, Verdict, judge
from slidekeeper.steps.versions.standing import TYPES, Standing, VersionId, standings
from slidekeeper.steps.versions.verification import all_versions

log = structlog.get_logger(__name__)

PAGE = 1000
LOOK_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Judged:
    """A version with what policy says of it, and how it stands."""

    version: VersionId
    created: datetime
    size: int
    verdict: Verdict
    standing: Standing


class Retirement:
    """Takes the orders, and runs in the background of the daemon."""

    def __init__(
        self,
        store: Versions,
        upkeep: Upkeep,
        rules: RetentionSettings,
        journal: Journal,
        report: Callable[[Event], Awaitable[object]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._upkeep = upkeep
        self._rules = rules
        self._journal = journal
        self._report = report
        self._clock = clock

    async def hold(self, reference: str, until: date, by: str) -> VersionHeld:
        """Keep a version until a day, whatever the policy says.

        Raises:
            Refused: there is no such version, or the day has passed.
        """
        if until < self._clock.now().date():
            raise Refused("past-date", "a hold has to end in the future", "Give --until YYYY-MM-DD")
        version = await self._find(reference)
        held = VersionHeld(project=version.project, version=version.version, until=until, by=by)
        await self._report(held)
        return held

    async def free(self, reference: str, by: str) -> VersionFreed:
        """Lift a hold.

        Raises:
            Refused: there is no such version, or no hold on it.
        """
        version = await self._find(reference)
        if (await self._standings()).get(version, Standing()).held_until is None:
            raise Refused("not-held", "nothing holds this version", "See `slidekeeper retention`")
        freed = VersionFreed(project=version.project, version=version.version, by=by)
        await self._report(freed)
        return freed

    async def judge(self) -> Sequence[Judged]:
        """What the policy says of every version; changes nothing."""
        standing = await self._standings()
        return await asyncio.to_thread(lambda: list(self._judged(standing)))

    async def apply(self) -> Sequence[Judged]:
        """Mark what no rule and no hold keeps: it will be removed after the grace period."""
        for judged in await self.judge():
            if not judged.verdict.keep and judged.standing.remove_after is None:
                await self._report(_expired(judged, self._clock.now() + timedelta(days=self._rules.grace_days)))
        return await self.judge()

    async def run(self) -> None:
        """Remove what is due, for ever."""
        while True:
            try:
                await self.remove_due()
            except SlidekeeperError as trouble:
                log.warning("versions not removed", reason=trouble.reason, detail=trouble.detail)
            await asyncio.sleep(LOOK_SECONDS)

    async def remove_due(self) -> int:
        """Remove versions whose grace period is over and that nothing keeps, and what only they needed; returns how many."""
        now = self._clock.now()
        await self._tell_broken_off()
        judged = await self.judge()
        due = [one for one in judged if not one.verdict.keep and one.standing.remove_after and one.standing.remove_after <= now]
        if not due:
            return 0
        with self._upkeep.sweeping() as alone:
            if not alone:
                log.info("versions are removed later: a protection is under way", versions=len(due))
                return 0
            for one in due:
                await self._remove(one, now)
        return len(due)

    async def _remove(self, one: Judged, now: datetime) -> None:
        """Remove one version first, then its objects: broken off in between, they are garbage that the next removal collects."""
        version = one.version
        await asyncio.to_thread(self._upkeep.remove, version_key(version.project, version.version))
        size = await asyncio.to_thread(collect_garbage, self._store, self._upkeep, now)
        reason = one.verdict.reasons[0]
        await self._report(VersionRemoved(project=version.project, version=version.version, reason=reason, size=size))
        log.info("version removed", project=version.project, version=version.version, bytes=size)

    async def _tell_broken_off(self) -> None:
        """Report versions that are gone although a crash kept that from being reported."""
        there = set(await asyncio.to_thread(all_versions, self._store))
        for version, standing in (await self._standings()).items():
            if standing.remove_after and not standing.removed and version not in there:
                reason = "removed before a restart"
                await self._report(VersionRemoved(project=version.project, version=version.version, reason=reason, size=0))

    async def _find(self, reference: str) -> VersionId:
        document = await asyncio.to_thread(self._store.find, parse_reference(reference))
        return VersionId(document.project, document.version)

    async def _standings(self) -> Mapping[VersionId, Standing]:
        found: list[Event] = []
        after = 0
        while page := await self._journal.events(after, PAGE, TYPES):
            found += [recorded.event for recorded in page]
            after = page[-1].seq
        return standings(found)

    def _judged(self, standing: Mapping[VersionId, Standing]) -> Iterator[Judged]:
        today = self._clock.now().date()
        for project in self._store.projects():
            documents = {document.version: document for document in self._documents(project)}
            holds = {id.version: stands.held_until for id, stands in standing.items() if id.project == project and stands.held_until}
            candidates = [Candidate(number, document.created) for number, document in documents.items()]
            for verdict in judge(candidates, self._rules, holds, today):
                document, version = documents[verdict.version], VersionId(project, verdict.version)
                yield Judged(version, document.created, document.size, verdict, standing.get(version, Standing()))

    def _documents(self, project: str) -> Iterator[VersionDocument]:
        """Versions that can be read; the others are not judged, so that they stay."""
        for number in self._store.numbers(project):
            try:
                yield self._store.document(project, number)
            except Permanent:
                log.warning("a damaged version is not judged", project=project, version=number)


def _expired(judged: Judged, remove_after: datetime) -> VersionExpired:
    version = judged.version
    return VersionExpired(project=version.project, version=version.version, reason=judged.verdict.reasons[0], remove_after=remove_after)
