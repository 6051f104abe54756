"""Takes orders for stagings: previews, orders, releases and tries again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from slidekeeper.errors import Refused, UndefinedTransition
from slidekeeper.messages.events import Event, StagingOrdered, StagingReleased, StagingRetried
from slidekeeper.model.manifest import Plan, StagedImage
from slidekeeper.model.staging import NAME_PATTERN, Cohort, StagingId, new_staging_id
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import StagingRow
from slidekeeper.steps.staging.plan import Situation, cohort_of, is_repeated, largest_first, refusal
from slidekeeper.steps.staging.step import StagingPorts
from slidekeeper.workflow.states import ON_TIER, StagingState

log = structlog.get_logger(__name__)

NAME = re.compile(NAME_PATTERN)
MANY = 100_000
NUMBER = re.compile(r"[1-9]\d{11}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order as it was given: by a condition or by numbers."""

    name: str
    tier: str
    where: str = ""
    numbers: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A cohort, and what stands against staging it."""

    images: Sequence[StagedImage]
    situation: Situation


class Stagings:
    """Takes orders, one at a time, so that no two claim the same name."""

    def __init__(
        self,
        ports: StagingPorts,
        catalog: Catalog,
        publish: Callable[[], Awaitable[None]],
        report: Callable[[Event], Awaitable[object]],
        clock: Clock,
        site: str,
    ) -> None:
        """``publish`` brings the published catalog up to the journal."""
        self._ports = ports
        self._catalog = catalog
        self._publish = publish
        self._report = report
        self._clock = clock
        self._site = site
        self._ordering = asyncio.Lock()

    async def preview(self, name: str, tier: str, where: str, numbers: Sequence[str]) -> Mapping[str, Any]:
        """What the order would do, or why it would be refused."""
        wanted = Wanted(name, tier, where, numbers)
        staging = new_staging_id()
        try:
            return preview_of(await self._choose(wanted, staging), wanted)
        finally:
            await asyncio.to_thread(self._ports.plans.forget, staging)

    async def order(self, name: str, tier: str, where: str, numbers: Sequence[str], by: str) -> StagingRow:
        """Order a staging; one that was ordered before, with the same cohort, is returned as it is.

        Raises:
            Refused: see :func:`.plan.refusal`.
        """
        wanted = Wanted(name, tier, where, numbers)
        async with self._ordering:
            staging = new_staging_id()
            kept = False
            try:
                chosen = await self._choose(wanted, staging)
                refused = refusal(chosen.situation)
                if refused:
                    raise refused
                if is_repeated(chosen.situation) and chosen.situation.same_name:
                    return chosen.situation.same_name
                await self._begin(wanted, staging, chosen, by)
                kept = True
            finally:
                if not kept:
                    await asyncio.to_thread(self._ports.plans.forget, staging)
            return await self.row(staging)

    async def cohort(self, tier: str, where: str) -> Cohort:
        """The cohort that an order would stage now."""
        wanted = Wanted("preview", tier, where)
        staging = new_staging_id()
        try:
            return (await self._choose(wanted, staging)).situation.cohort
        finally:
            await asyncio.to_thread(self._ports.plans.forget, staging)

    def progress(self, staging: StagingId) -> Mapping[str, Any] | None:
        """How far a copy is, or None when it does not run."""
        progress = self._ports.running.progress(staging)
        return progress.answer() if progress else None

    async def release(self, name: str, by: str, reason: str) -> StagingRow:
        """Let a staging go: its copy is stopped if it runs, then removed.

        Raises:
            Refused: there is none of this name, or it is released already.
        """
        row = await self.named(name)
        await self._submit(StagingReleased(staging=row.staging, by=by, reason=reason), "released-already")
        await asyncio.to_thread(self._ports.running.stop, row.staging)
        return await self.row(row.staging)

    async def retry(self, name: str, by: str) -> StagingRow:
        """Try a held staging again.

        Raises:
            Refused: there is none of this name, or it is not held.
        """
        row = await self.named(name)
        await self._submit(StagingRetried(staging=row.staging, by=by), "not-in-quarantine")
        return await self.row(row.staging)

    async def sweep(self) -> int:
        """Forget plans that a killed daemon left without an order, or behind a removal; returns how many. Before orders are taken."""
        known = {row.staging for row in await self._ports.journal.stagings(ON_TIER, limit=MANY)}
        left = [staging for staging in await asyncio.to_thread(self._ports.plans.kept) if staging not in known]
        for staging in left:
            await asyncio.to_thread(self._ports.plans.forget, staging)
        return len(left)

    async def named(self, name: str) -> StagingRow:
        """The newest staging of this name.

        Raises:
            Refused: there is none.
        """
        row = await self._ports.journal.staging_named(name)
        if row is None:
            raise Refused("unknown-staging", "there is no staging of this name", "See `slidekeeper staging list`")
        return row

    async def row(self, staging: StagingId) -> StagingRow:
        """A staging by its id."""
        row = await self._ports.journal.staging(staging)
        if row is None:
            raise Refused("unknown-staging", "there is no such staging", "See `slidekeeper staging list`")
        return row

    async def _submit(self, event: Event, reason: str) -> None:
        try:
            await self._report(event)
        except UndefinedTransition as refused:
            raise Refused(reason, refused.detail, "See `slidekeeper staging list`") from None

    async def _choose(self, wanted: Wanted, staging: StagingId) -> Chosen:
        _check(wanted, self._ports.tiers)
        await self._publish()
        position = await self._catalog.position()
        same_name = await self._ports.journal.staging_named(wanted.name)
        promised = await self._promised(wanted.tier)
        return await asyncio.to_thread(self._look, wanted, staging, position, same_name, promised)

    async def _promised(self, tier: str) -> int:
        """Bytes that stagings under way will still take on this tier."""
        rows = await self._ports.journal.stagings([StagingState.ORDERED], limit=MANY)
        copies = [(row.cohort.size, self._ports.running.progress(row.staging)) for row in rows if row.tier == tier]
        return sum(max(0, size - (copy.verified + copy.copied if copy else 0)) for size, copy in copies)

    def _look(self, wanted: Wanted, staging: StagingId, position: int, same_name: StagingRow | None, promised: int) -> Chosen:
        cohorts, rows = self._ports.cohorts, self._ports.plans.rows(staging)
        images = cohorts.named(wanted.numbers, rows) if wanted.numbers else cohorts.choose(wanted.where, rows)
        tier = self._ports.tiers[wanted.tier]
        situation = Situation(
            wanted.name,
            cohort_of(images, "" if wanted.numbers else wanted.where, position),
            same_name,
            tier.holding(wanted.name),
            tier.free() - promised,
            tier.missing(images),
            frozenset(wanted.numbers) - {image.number for image in images},
        )
        return Chosen(images, situation)

    async def _begin(self, wanted: Wanted, staging: StagingId, chosen: Chosen, by: str) -> None:
        """The plan first, then the order: an order without a plan could never be carried out."""
        cohort, images = chosen.situation.cohort, largest_first(chosen.images)
        shared: dict[str, Any] = {"staging": staging, "name": wanted.name, "tier": wanted.tier, "cohort": cohort}
        plan = Plan(site=self._site, created=self._clock.now(), images=images, **shared)
        await asyncio.to_thread(self._ports.plans.write, plan)
        await self._report(StagingOrdered(by=by, **shared))
        log.info("staging ordered", staging=staging, name=wanted.name, tier=wanted.tier, slides=cohort.slides, size=cohort.size)


def preview_of(chosen: Chosen, wanted: Wanted) -> Mapping[str, Any]:
    """As JSON."""
    situation = chosen.situation
    refused = refusal(situation)
    row = situation.same_name if is_repeated(situation) else None
    return {
        "name": wanted.name,
        "tier": wanted.tier,
        "slides": situation.cohort.slides,
        "size": situation.cohort.size,
        "free": situation.free,
        "digest": situation.cohort.digest,
        "there": row.state.value if row else "",
        "refused": {"reason": refused.reason, "detail": refused.detail, "remedy": refused.remedy} if refused else None,
    }


def _check(wanted: Wanted, tiers: Mapping[str, object]) -> None:
    if not NAME.fullmatch(wanted.name):
        raise Refused("wrong-name", "a staging's name has letters, digits, dots, dashes and underscores", "Choose another name")
    if wanted.tier not in tiers:
        raise Refused("unknown-tier", "the settings have no tier of this name", f"Tiers are: {', '.join(tiers) or 'none'}")
    if bool(wanted.where.strip()) == bool(wanted.numbers):
        raise Refused("no-choice", "slides are chosen by a condition or by numbers", "Give --where or --numbers")
    if not all(NUMBER.fullmatch(number) for number in wanted.numbers):
        raise Refused("no-number", "slides are named by their 12 digits", "See `slidekeeper slides list`")
