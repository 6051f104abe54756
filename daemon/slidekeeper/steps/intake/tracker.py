"""Follows unsettled packs: looks at them when they are due, and says when they have settled, got stuck, or must be held."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace

import structlog

from slidekeeper.errors import SlidekeeperError, SourceChanged, Unavailable, UndefinedTransition
from slidekeeper.messages.events import AnyPackEvent, PackQuarantined, PackSettled, PackStuck, PackVanished
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import Member, PackFiles
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.drop import Drop, KnownFiles
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake.assembly import is_valid_barcode
from slidekeeper.steps.intake.roll import Roll, SettledLately, Tracked
from slidekeeper.steps.intake.settling import (
    Examine,
    Gone,
    Hold,
    Look,
    Step,
    Stuck,
    Wait,
    after_change,
    after_fault,
    after_writer,
    before_notice,
    is_premature,
    next_step,
    wait_or_report,
)

log = structlog.get_logger(__name__)

LOOKS_AT_ONCE = 200
EXAMINED_AT_ONCE = 32
UNAVAILABLE_PAUSE_SECONDS = 2.0
ANSWER_SECONDS = 10.0
"""A drop folder that takes longer to say that it is there hangs."""


class Tracker:
    """All unsettled packs of all drop folders."""

    def __init__(
        self,
        drops: Mapping[str, Drop],
        settings: Mapping[str, DropSettings],
        known: KnownFiles,
        report: Callable[[AnyPackEvent], Awaitable[object]],
        wholeness: Callable[[PackFiles], Awaitable[str]],
        suspend: Callable[[Unavailable], Awaitable[None]],
        clock: Clock,
        looking_since: Callable[[str], float | None],
    ) -> None:
        """``looking_since`` tells when the scan of a drop folder that is under way began, or None."""
        self._drops = drops
        self._settings = settings
        self._known = known
        self._report = report
        self._wholeness = wholeness
        self._suspend = suspend
        self._clock = clock
        self._looking_since = looking_since
        self._roll = Roll(drops)
        self._leaving: set[PackId] = set()
        """Packs that are followed no longer, while the reason is being committed."""
        self._opened: set[BatchId] = set()
        """Batches whose gate is open: who asked before may still take it for closed."""
        self._settled_lately = SettledLately()
        self._room = asyncio.Event()
        self._due: list[tuple[float, int, PackId]] = []
        self._order = itertools.count()
        self._woken = asyncio.Event()
        self._examining = asyncio.Semaphore(EXAMINED_AT_ONCE)

    def __contains__(self, pack: object) -> bool:
        return self._roll.get(pack) is not None or pack in self._leaving

    def named(self, drop: str, directory: bytes, stem: bytes) -> PackFiles | None:
        """The followed pack of this name, or None."""
        tracked = self._roll.named(drop, directory, stem)
        return tracked.files if tracked else None

    def files(self, pack: PackId) -> PackFiles | None:
        """A followed pack as it is now, or None."""
        tracked = self._roll.get(pack)
        return tracked.files if tracked else None

    def count(self, drop: str) -> tuple[int, int]:
        """Followed and stuck packs of one drop folder."""
        mine = self._roll.of(drop)
        return len(mine), sum(tracked.watch.stuck for tracked in mine)

    def track(self, files: PackFiles, gated: bool, remembered: bool = False) -> None:
        """Follow a pack whose files were seen just now; ``remembered`` says that the index holds them as they are.

        Where many are followed already it is left out, and called for when there is :meth:`room`.
        """
        now = self._clock.monotonic()
        watch = self._settled_lately.watch_of(files.pack, now, self._settings[files.drop].stuck_seconds)
        watch.note([Look(member.role, member.identity) for member in files.members], now)
        gated = gated and files.batch not in self._opened
        if self._roll.add(Tracked(files, watch, gated, remembered=files if remembered else None)):
            self._call_at(files.pack, now + self._settings[files.drop].settle_seconds)

    async def room(self) -> Collection[str]:
        """Wait until packs that were left out may find room; returns their drop folders."""
        await self._room.wait()
        self._room.clear()
        return self._roll.take_left_out()

    def call_again(self, drops: Collection[str]) -> None:
        """Let :meth:`room` name these drop folders again, as soon as there is some: not all of their packs were taken up."""
        self._roll.leave_out(drops)
        if self._roll.has_room_again():
            self._room.set()

    def is_full(self, drop: str) -> bool:
        """Whether no further pack of a drop folder finds room."""
        return self._roll.is_full(drop)

    def update(self, files: PackFiles) -> None:
        """Members of a followed pack were added or changed."""
        tracked = self._roll.get(files.pack)
        if tracked is None:
            return
        now = self._clock.monotonic()
        if files != tracked.files:
            tracked.files = files
        tracked.watch.note([Look(member.role, member.identity) for member in files.members], now)
        self._call_at(files.pack, now + self._settings[files.drop].settle_seconds)

    def open_gate(self, batch: BatchId) -> None:
        """The notice for a batch was given: its packs may settle."""
        self._opened.add(batch)
        for tracked in self._roll.open_gate(batch):
            self._call_at(tracked.files.pack, self._clock.monotonic())
        self._room.set()

    async def run(self) -> None:
        """Look at packs as they become due, for ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                due = await self._next_due()
                for drop in {tracked.files.drop for tracked in due}:
                    await self._look_at([tracked for tracked in due if tracked.files.drop == drop], self._drops[drop], group)

    def _call_at(self, pack: PackId, when: float) -> None:
        heapq.heappush(self._due, (when, next(self._order), pack))
        self._woken.set()

    async def _next_due(self) -> list[Tracked]:
        """Packs whose time has come; waits for the first."""
        while True:
            now = self._clock.monotonic()
            due: dict[PackId, Tracked] = {}
            while self._due and self._due[0][0] <= now and len(due) < LOOKS_AT_ONCE:
                pack = heapq.heappop(self._due)[2]
                tracked = self._roll.get(pack)
                if tracked and not tracked.busy:
                    due[pack] = tracked
            if due:
                return list(due.values())
            self._woken.clear()
            try:
                async with asyncio.timeout(self._due[0][0] - now if self._due else None):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _look_at(self, due: Sequence[Tracked], drop: Drop, group: asyncio.TaskGroup) -> None:
        before = [tracked.files for tracked in due]
        try:
            looks = await asyncio.to_thread(_look, drop, before)
        except SlidekeeperError as trouble:
            if isinstance(trouble, Unavailable):
                await self._suspend(trouble)
            for tracked in due:
                self._call_at(tracked.files.pack, self._clock.monotonic() + UNAVAILABLE_PAUSE_SECONDS)
            return
        for tracked, files, seen in zip(due, before, looks, strict=True):
            if tracked.files is files:
                await self._consider(tracked, seen, group)
            else:
                self._call_at(files.pack, self._clock.monotonic())

    async def _consider(self, tracked: Tracked, looks: Sequence[Look], group: asyncio.TaskGroup) -> None:
        now = self._clock.monotonic()
        settings = self._settings[tracked.files.drop]
        tracked.watch.note(looks, now)
        _bring_up_to_date(tracked, looks)
        step = next_step(tracked.watch, looks, is_valid_barcode(tracked.files.barcode, settings.barcode_pattern), settings, now)
        if isinstance(step, Examine) and not tracked.gated:
            tracked.busy = True
            group.create_task(self._examine(tracked, tracked.files))
        elif is_premature(step, tracked.watch, self._looking_since(tracked.files.drop)):
            self._call_at(tracked.files.pack, now + settings.settle_seconds)
        else:
            await self._conclude(tracked, before_notice(tracked.watch, settings, now) if isinstance(step, Examine) else step)

    async def _examine(self, tracked: Tracked, files: PackFiles) -> None:
        """A quiet, plausible pack: does somebody write, is the image whole? Files that changed meanwhile are watched on."""
        async with self._examining:
            step = await self._examined(tracked, files)
        if tracked.files is files or isinstance(step, Stuck):
            await self._conclude(tracked, step)
        tracked.busy = False
        if tracked.files is not files:
            self._call_at(files.pack, self._clock.monotonic())

    async def _examined(self, tracked: Tracked, files: PackFiles) -> Step | None:
        settings, drop = self._settings[files.drop], self._drops[files.drop]
        if await asyncio.to_thread(lambda: any(drop.is_being_written(image.path) for image in files.images)):
            return after_writer(tracked.watch, settings, self._clock.monotonic())
        try:
            fault = await self._fault_of(files)
        except SourceChanged:
            return after_change(tracked.watch, settings, self._clock.monotonic())
        except Unavailable as away:
            await self._suspend(away)
            return wait_or_report(tracked.watch, away.reason, settings, self._clock.monotonic(), at_least=UNAVAILABLE_PAUSE_SECONDS)
        return after_fault(tracked.watch, fault, settings, self._clock.monotonic()) if fault else None

    async def _fault_of(self, files: PackFiles) -> str:
        """Why the image is not whole, or an empty string; only a drop folder that answers makes it the image's fault that none was found.

        Raises:
            SourceChanged: it changed meanwhile.
            Unavailable: the drop folder is away.
        """
        try:
            return await self._wholeness(files)
        except (SourceChanged, Unavailable):
            raise
        except SlidekeeperError as trouble:
            await self._check_answers(files.drop)
            return trouble.reason

    async def _check_answers(self, drop: str) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.to_thread(self._drops[drop].check_available)
        except TimeoutError:
            raise Unavailable(f"drop:{drop}", "no-answer", "the drop folder hangs", "Mend its mount; work goes on by itself") from None

    async def _conclude(self, tracked: Tracked, step: Step | None) -> None:
        """Do what was decided, or later, when the index can be used again."""
        try:
            await (self._settled(tracked) if step is None else self._follow(tracked, step))
        except SlidekeeperError as trouble:
            if isinstance(trouble, Unavailable):
                await self._suspend(trouble)
            else:
                log.error("pack cannot be followed", pack=tracked.files.pack, trouble=str(trouble))
            self._call_at(tracked.files.pack, self._clock.monotonic() + UNAVAILABLE_PAUSE_SECONDS)

    async def _settled(self, tracked: Tracked) -> None:
        files = tracked.files
        waited = round(self._clock.monotonic() - tracked.watch.since, 3)
        self._settled_lately.add(files.pack, tracked.watch, self._clock.monotonic())
        await self._finish(tracked, PackSettled(pack=files.pack, files=len(files.members), size=files.size, waited_seconds=waited))

    async def _finish(self, tracked: Tracked, event: PackSettled | PackQuarantined) -> None:
        """Follow a pack no longer, unless a member joins while the index is written: then it is watched on."""
        files = tracked.files
        if files != tracked.remembered:
            await self._known.remember([files])
        if tracked.files is files:
            await self._leave(files, event)
        else:
            self._call_at(files.pack, self._clock.monotonic())

    async def _follow(self, tracked: Tracked, step: Step) -> None:
        files = tracked.files
        match step:
            case Wait(until):
                self._call_at(files.pack, until)
            case Stuck(reason, until):
                await self._tell(PackStuck(pack=files.pack, reason=reason))
                self._call_at(files.pack, until)
            case Hold(reason):
                await self._finish(tracked, PackQuarantined(pack=files.pack, step="intake", reason=reason))
            case Gone():
                await self._known.forget(files.pack)
                await self._leave(files, PackVanished(pack=files.pack))

    async def _leave(self, files: PackFiles, event: AnyPackEvent) -> None:
        """Follow a pack no longer, and tell why; until that is committed, nobody may take up its order to settle anew."""
        self._leaving.add(files.pack)
        self._roll.remove(files)
        try:
            await self._tell(event)
        finally:
            self._leaving.discard(files.pack)
        if self._roll.has_room_again():
            self._room.set()

    async def _tell(self, event: AnyPackEvent) -> None:
        try:
            await self._report(event)
        except UndefinedTransition as late:
            log.warning("event came too late", pack=event.pack, detail=late.detail)


def _look(drop: Drop, packs: Sequence[PackFiles]) -> list[list[Look]]:
    """Look at all members of some packs; only a drop folder that is there before and behind can say that a file is gone."""
    drop.check_available()
    looks = [[_look_at_member(drop, member) for member in pack.members] for pack in packs]
    if any(look.identity is None or look.unreadable for seen in looks for look in seen):
        drop.check_available()
    return looks


def _look_at_member(drop: Drop, member: Member) -> Look:
    try:
        seen = drop.see(member.path)
    except SlidekeeperError:
        return Look(member.role, member.identity, unreadable=True)
    return Look(member.role, seen.identity, seen.links) if seen else Look(member.role, None)


def _bring_up_to_date(tracked: Tracked, looks: Sequence[Look]) -> None:
    """Keep the identities that were seen; members that are gone are no members any more, unless all are."""
    there = tuple(
        replace(member, identity=look.identity)
        for member, look in zip(tracked.files.members, looks, strict=True)
        if look.identity is not None
    )
    if there and there != tracked.files.members:
        tracked.files = replace(tracked.files, members=there)
        tracked.watch.identities = tuple(member.identity for member in there)
