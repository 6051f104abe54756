"""Lets a second bucket follow the journal: whatever an event says is in the bucket is copied, in order, verified.

The position is the recovery point: everything up to that event survives the loss of the first bucket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import structlog

from slidekeeper.errors import Permanent, SlidekeeperError
from slidekeeper.messages.events import Event, RecordsAligned, RecordsLoaded, RecordsWithdrawn, RunProtected, SlidesRemoved, SlideStored
from slidekeeper.model.identity import slide_key
from slidekeeper.model.records import alignment_key
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.ports.journal import Journal, Recorded
from slidekeeper.ports.replica import ReplicaState, ReplicaStates, VersionCopier
from slidekeeper.steps.replica.mirroring import Mirror

log = structlog.get_logger(__name__)

FOLLOWED = ("slide.stored", "records.loaded", "records.aligned", "records.withdrawn", "run.protected", "slides.removed")
"""Events after which the bucket holds something else."""
PAGE = 200
COUNTED = 10_000
"""So many events behind are counted; more are told as that many."""
WAIT_SECONDS = 10.0


class Replica:
    """One replica, for as long as the daemon runs."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        mirror: Mirror,
        versions: VersionCopier,
        states: ReplicaStates,
        withdrawn: Withdrawn,
        committed: Callable[[], Awaitable[None]],
    ) -> None:
        """``committed`` returns at the next commit of the journal."""
        self._name = name
        self._journal = journal
        self._mirror = mirror
        self._versions = versions
        self._states = states
        self._withdrawn = withdrawn
        self._committed = committed
        self._state = ReplicaState()
        self._trouble = ""

    async def run(self) -> None:
        """Follow for ever."""
        self._state = await asyncio.to_thread(self._states.load)
        while True:
            news = asyncio.ensure_future(self._committed())
            try:
                await self.catch_up()
                self._tell("")
            except SlidekeeperError as trouble:
                self._tell(trouble.reason)
            await asyncio.wait({news}, timeout=WAIT_SECONDS)
            news.cancel()
            with suppress(asyncio.CancelledError):
                await news

    async def catch_up(self) -> None:
        """Copy everything up to the journal's head; stops where a bucket cannot be used."""
        while page := await self._journal.events(self._state.seq, PAGE, FOLLOWED):
            for recorded in page:
                await self._follow(recorded)
            await asyncio.to_thread(self._states.save, self._state)

    async def status(self) -> Mapping[str, Any]:
        """How far it is behind: events, the oldest of them, and what hinders it."""
        waiting = await self._journal.events(self._state.seq, COUNTED, FOLLOWED)
        return {
            "replica": self._name,
            "behind": len(waiting),
            "oldest": waiting[0].time.isoformat() if waiting else "",
            "trouble": self._trouble,
            "problems": dict(self._state.problems),
        }

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            log.info("replica waits" if trouble else "replica goes on", replica=self._name, reason=trouble)

    async def _follow(self, recorded: Recorded) -> None:
        """Copy what one event is about; an original that is damaged holds up nothing but itself."""
        problems = dict(self._state.problems)
        try:
            await self._copy(recorded.event)
            problems.pop(recorded.event.subject, None)
        except Permanent as damaged:
            problems[recorded.event.subject] = damaged.reason
            log.error("not replicated", replica=self._name, subject=recorded.event.subject, reason=damaged.reason, detail=damaged.detail)
        self._state = ReplicaState(seq=recorded.seq, problems=problems)

    async def _copy(self, event: Event) -> None:
        match event:
            case SlideStored(facts=facts):
                if facts.number not in self._withdrawn:
                    await asyncio.to_thread(self._mirror.bring, facts.key, {facts.file_name: facts.digest})
            case RecordsLoaded(facts=facts) | RecordsWithdrawn(facts=facts):
                await asyncio.to_thread(self._mirror.follow, f"records/{facts.batch}")
            case RecordsAligned(facts=facts):
                await self._copy_alignment(event)
            case RunProtected(facts=facts):
                await asyncio.to_thread(self._versions.copy, facts.project, facts.version)
            case SlidesRemoved(slides=slides):
                await asyncio.to_thread(self._remove, [slide_key(number) for number in slides])

    async def _copy_alignment(self, event: RecordsAligned) -> None:
        """An alignment that a newer one has replaced may be gone."""
        row = await self._journal.records_row(event.records)
        if row is not None:
            key = alignment_key(row.batch, event.facts.revision, event.facts.alignment)
            if await asyncio.to_thread(self._mirror.origin.has, key):
                await asyncio.to_thread(self._mirror.bring, key, {})

    def _remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._mirror.target.remove(key)
