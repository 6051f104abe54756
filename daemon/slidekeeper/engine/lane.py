"""A lane: a bounded number of workers that carry out one kind of command, oldest first.

Commands are pulled from the journal page by page, so that a backlog of a hundred thousand packs costs no memory, and recovery
after a crash is the same code as everyday work: a lane starts at the oldest pending command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog

from slidekeeper.engine.places import Places
from slidekeeper.errors import SlidekeeperError, Temporary, Unavailable, UndefinedTransition
from slidekeeper.messages.events import AnyStepEvent, Event
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal, Pending
from slidekeeper.workflow.retry import Quarantine, Retry, RetryPolicy, Suspend, failed, held, treat

log = structlog.get_logger(__name__)

Step: TypeAlias = Callable[[Any], Awaitable[AnyStepEvent | None]]
"""Carries out one command and returns what happened, or None when that will be reported later."""

Submit: TypeAlias = Callable[[Event], Awaitable[object]]

PARKED_LIMIT = 1000
"""So many commands may wait outside the workers (for a retry or a place) before the lane stops to take new ones."""


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """What a lane does: its command ``type``, its step, its width, and the places without which it need not start."""

    command: str
    step: Step
    width: int = 1
    places: tuple[str, ...] = ()
    unhurried: bool = False
    """Its commands may take hours, as reading a whole version does: they are never taken for stuck."""


class Lane:
    """Carries out one kind of command."""

    def __init__(self, spec: LaneSpec, journal: Journal, submit: Submit, places: Places, clock: Clock, policy: RetryPolicy) -> None:
        self._spec = spec
        self._journal = journal
        self._submit = submit
        self._places = places
        self._clock = clock
        self._policy = policy
        self._stopping = asyncio.Event()
        self._workers = asyncio.Semaphore(spec.width)
        self._wake = asyncio.Event()
        self._cursor = 0
        self._parked = 0
        self._started: dict[str, float] = {}

    @property
    def name(self) -> str:
        """The lane's command type."""
        return self._spec.command

    @property
    def busy(self) -> int:
        """Commands that are being carried out."""
        return len(self._started)

    @property
    def parked(self) -> int:
        """Commands that wait for a retry or a suspended place."""
        return self._parked

    def oldest_seconds(self) -> float:
        """For how long the longest-running command has been carried out; 0.0 when idle, or where any time is right."""
        if self._spec.unhurried or not self._started:
            return 0.0
        return self._clock.monotonic() - min(self._started.values())

    def wake(self) -> None:
        """There may be a new command."""
        self._wake.set()

    def stop(self) -> None:
        """Take no new command, and wait no longer for retries and places."""
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Pull and carry out commands until stopped; then wait for those under way."""
        async with asyncio.TaskGroup() as under_way:
            while not self._stopping.is_set():
                self._wake.clear()
                for pending in await self._pull():
                    await self._workers.acquire()
                    if self._stopping.is_set():
                        self._workers.release()
                        break
                    self._cursor = pending.seq
                    under_way.create_task(self._carry_out(pending))
                else:
                    await self._wake.wait()

    async def _pull(self) -> list[Pending]:
        """The next page of commands, or nothing while the lane has to wait.

        Asks again at once while pages are full: the caller waits only after an empty page.
        """
        if self._places.any_suspended(self._spec.places):
            await self._unless_stopping(self._places.usable(*self._spec.places))
        if self._stopping.is_set() or self._parked >= PARKED_LIMIT:
            return []
        try:
            page = list(await self._journal.pending(self.name, self._cursor, max(16, 4 * self._spec.width)))
        except Unavailable as away:
            await self._places.suspend(Suspend(away.place, away.reason, away.detail))
            await self._unless_stopping(self._places.usable(away.place))
            self._wake.set()
            return []
        if page:
            self._wake.set()
        return page

    async def _carry_out(self, pending: Pending) -> None:
        """Run the step until its event is committed or the daemon stops; a worker's place is held only while the step runs."""
        attempts = pending.attempts
        structlog.contextvars.bind_contextvars(**{pending.command.noun: pending.subject})
        while True:
            treatment = await self._attempt(pending, attempts + 1)
            if treatment is None:
                return
            attempts += isinstance(treatment, Retry)
            self._parked += 1
            await self._unless_stopping(self._wait_out(treatment))
            self._parked -= 1
            self._wake.set()
            if self._stopping.is_set():
                return
            await self._workers.acquire()

    async def _attempt(self, pending: Pending, attempt: int) -> Retry | Suspend | None:
        """One try of the step; returns what to wait for before the next, or None when the command is settled."""
        self._started[pending.subject] = self._clock.monotonic()
        try:
            event = await self._run_step(pending)
            if event is not None:
                await self._submit(event)
            return None
        except UndefinedTransition as late:
            log.warning("event came too late", step=self.name, detail=late.detail)
            return None
        except SlidekeeperError as error:
            return await self._treat(pending, error, attempt)
        finally:
            del self._started[pending.subject]
            self._workers.release()

    async def _run_step(self, pending: Pending) -> AnyStepEvent | None:
        try:
            return await self._spec.step(pending.command)
        except SlidekeeperError:
            raise
        except Exception as fault:
            # The worker's edge: a fault in one step must not end the daemon, and a foreign exception's text may name a file.
            log.error("unexpected fault", step=self.name, exc_info=fault)
            raise Temporary("internal-error", type(fault).__name__) from None

    async def _treat(self, pending: Pending, error: SlidekeeperError, attempt: int) -> Retry | Suspend | None:
        treatment = treat(error, attempt, self._policy)
        match treatment:
            case Suspend():
                await self._places.suspend(treatment)
                return treatment
            case Quarantine(reason, detail):
                if await self._submit_if_defined(held(pending.command, reason, detail)):
                    return None
                # What is stored already is nothing to hold back: its last steps are tried for ever, patiently.
                return await self._try_again(pending, error, self._policy.longest_delay)
            case Retry(delay):
                return await self._try_again(pending, error, delay)

    async def _try_again(self, pending: Pending, error: SlidekeeperError, delay: float) -> Retry | None:
        log.info("step failed", step=self.name, reason=error.reason, detail=error.detail, delay=delay)
        told = failed(pending.command, error.reason, error.detail)
        return Retry(delay) if await self._submit_if_defined(told) else None

    async def _submit_if_defined(self, event: AnyStepEvent) -> bool:
        try:
            await self._submit(event)
        except UndefinedTransition as late:
            log.warning("event came too late", step=self.name, detail=late.detail)
            return False
        return True

    async def _wait_out(self, treatment: Retry | Suspend) -> None:
        match treatment:
            case Retry(delay):
                await asyncio.sleep(delay)
            case Suspend(place):
                await self._places.usable(place)

    async def _unless_stopping(self, waiting: Coroutine[Any, Any, None]) -> None:
        """Wait for ``waiting``, but not longer than until the lane is stopped."""
        waits = {asyncio.ensure_future(waiting), asyncio.ensure_future(self._stopping.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
