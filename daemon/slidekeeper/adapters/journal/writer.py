"""The writer thread: drains what was submitted, commits it as one transaction, and waits out a full disk without losing any of it."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from slidekeeper.adapters.journal.transaction import Transaction
from slidekeeper.adapters.journal.troubles import damaged, passing_trouble
from slidekeeper.errors import Refused, SlidekeeperError, Unavailable, UndefinedTransition
from slidekeeper.messages.events import Event
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Recorded

log = structlog.get_logger(__name__)

GROUP_LIMIT = 256
"""Submissions in one transaction: enough to share its fsync, few enough that the first does not wait long for the last."""

TROUBLE_PAUSE_SECONDS = 1.0

Outcome: TypeAlias = Sequence[Recorded] | SlidekeeperError


@dataclass(frozen=True, slots=True)
class Submission:
    """Events to be recorded together, or outbox rows to be forgotten; and where the answer goes."""

    future: asyncio.Future[Sequence[Recorded]]
    events: Sequence[Event]
    published: int

    def answer(self, outcome: Outcome) -> None:
        """Resolve the future; runs in its event loop."""
        if self.future.done():
            return
        if isinstance(outcome, SlidekeeperError):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


class Writer:
    """Owns the writing connection. One thread, started at construction, ended by :meth:`close`."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, outbox: bool) -> None:
        self._connection = connection
        self._clock = clock
        self._transaction = Transaction(connection, outbox)
        self._submissions: queue.SimpleQueue[Submission | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._door = threading.Lock()
        """Held where :attr:`_closing` is set and where it is looked at before a submission is queued: none is queued after it is set."""
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self.trouble = ""
        self._thread.start()

    async def submit(self, events: Sequence[Event], published: int = 0) -> Sequence[Recorded]:
        """Record ``events`` in order, all or none, and forget outbox rows up to ``published``; returns when that is durable.

        Raises:
            UndefinedTransition: the workflow table has no row for one of the events.
            Unavailable: the journal was closed while its disk was full.
            Refused: the file is damaged, or the journal closed.
        """
        submission = Submission(asyncio.get_running_loop().create_future(), events, published)
        with self._door:
            if self._closing.is_set():
                raise Refused("journal-closed", "nothing can be recorded any more")
            self._submissions.put(submission)
        return await submission.future

    def close(self) -> None:
        """Commit what was submitted, fold the log into the database and end the thread. Blocks."""
        self._shut()
        self._submissions.put(None)
        self._thread.join()

    def _shut(self) -> None:
        with self._door:
            self._closing.set()

    def _work(self) -> None:
        try:
            ended = False
            while not ended:
                group, ended = self._next_group()
                if group:
                    self._serve(group)
        finally:
            self._shut()
            self._refuse_the_rest()
            self._connection.close()

    def _refuse_the_rest(self) -> None:
        """Answer what was queued behind the submission whose fault ended the thread."""
        rest: list[Submission] = []
        while not self._submissions.empty():
            entry = self._submissions.get()
            if entry is not None:
                rest.append(entry)
        _answer(rest, [_fault()] * len(rest))

    def _next_group(self) -> tuple[list[Submission], bool]:
        """Everything that waits, up to the limit; blocks for the first. The flag says that nothing comes after it."""
        group: list[Submission] = []
        entry = self._submissions.get()
        while entry is not None:
            group.append(entry)
            if len(group) >= GROUP_LIMIT or self._submissions.empty():
                return group, False
            entry = self._submissions.get()
        return group, True

    def _serve(self, group: Sequence[Submission]) -> None:
        """Answer every submission of the group, even if a fault of ours ends the thread."""
        outcomes: Sequence[Outcome] = [_fault()] * len(group)
        try:
            outcomes = self._settle(group)
        finally:
            _answer(group, outcomes)

    def _settle(self, group: Sequence[Submission]) -> Sequence[Outcome]:
        """Commit, again and again while the disk is full; gives up only on damage, or when the journal is to close."""
        while True:
            try:
                outcomes = self._commit(group)
            except sqlite3.Error as error:
                self._undo()
                trouble = passing_trouble(error)
                if not trouble:
                    return [damaged(error)] * len(group)
                if self._closing.is_set():
                    return [Unavailable("state", trouble, "the journal was closed before this could be recorded")] * len(group)
                self._report_trouble(trouble)
                self._closing.wait(TROUBLE_PAUSE_SECONDS)
            else:
                self._report_trouble("")
                return outcomes

    def _commit(self, group: Sequence[Submission]) -> Sequence[Outcome]:
        self._connection.execute("BEGIN IMMEDIATE")
        outcomes = [self._record(submission) for submission in group]
        self._connection.execute("COMMIT")
        return outcomes

    def _record(self, submission: Submission) -> Outcome:
        """One submission within the group's transaction; what the table refuses is rolled back alone."""
        execute = self._connection.execute
        if submission.published:
            execute("DELETE FROM outbox WHERE seq <= ?", (submission.published,))
        if len(submission.events) == 1:  # refused before anything is written
            return self._recorded(submission.events)
        execute("SAVEPOINT submission")
        outcome = self._recorded(submission.events)
        if isinstance(outcome, UndefinedTransition):
            execute("ROLLBACK TO submission")
        execute("RELEASE submission")
        return outcome

    def _recorded(self, events: Sequence[Event]) -> Outcome:
        try:
            return [self._transaction.record(event, self._clock.now()) for event in events]
        except UndefinedTransition as refused:
            return refused

    def _undo(self) -> None:
        """Some errors end the transaction by themselves, some leave it open."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _report_trouble(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            if trouble:
                log.error("journal waits", reason=trouble)
            else:
                log.info("journal goes on")


def _fault() -> Refused:
    return Refused("journal-fault", "the journal's writer ended with a fault; see the log")


def _answer(group: Sequence[Submission], outcomes: Sequence[Outcome]) -> None:
    """Resolve all futures of the group with one wake-up for each event loop."""
    answers = list(zip(group, outcomes, strict=True))
    for loop in {submission.future.get_loop() for submission in group}:
        mine = [(submission, outcome) for submission, outcome in answers if submission.future.get_loop() is loop]
        with suppress(RuntimeError):  # a loop that has ended has nobody who waits
            loop.call_soon_threadsafe(_answer_all, mine)


def _answer_all(answers: Sequence[tuple[Submission, Outcome]]) -> None:
    for submission, outcome in answers:
        submission.answer(outcome)
