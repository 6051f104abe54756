"""The writer thread: drains what was submitted, commits it as one transaction, and waits out a full disk without losing any of it."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from slidekeeper.adapters.journal.transaction import Transaction
from slidekeeper.errors import UndefinedTransition
from slidekeeper.messages.events import Event
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Recorded

log = structlog.get_logger(__name__)

GROUP_LIMIT = 256
"""Submissions in one transaction: enough to share a commit, few enough to keep it short."""

TROUBLE_PAUSE_SECONDS = 1.0


@dataclass(slots=True)
class Submission:
    """Events to be recorded together, or outbox rows to be forgotten; and where the answer goes."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Sequence[Recorded]]
    events: Sequence[Event] = ()
    published: int = 0
    result: Sequence[Recorded] | UndefinedTransition = field(default=())

    def answer(self) -> None:
        """Resolve the future; runs in the event loop."""
        if self.future.cancelled():
            return
        if isinstance(self.result, UndefinedTransition):
            self.future.set_exception(self.result)
        else:
            self.future.set_result(self.result)


class Writer:
    """Owns the writing connection. One thread, started at construction, ended by :meth:`close`."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock, outbox: bool) -> None:
        self._connection = connection
        self._clock = clock
        self._transaction = Transaction(connection, outbox)
        self._queue: queue.SimpleQueue[Submission | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)
        self._closing = False
        self.trouble = ""
        self._thread.start()

    async def submit(self, events: Sequence[Event] = (), published: int = 0) -> Sequence[Recorded]:
        """Record ``events`` in order, all or none, and forget outbox rows up to ``published``; returns when that is durable."""
        loop = asyncio.get_running_loop()
        submission = Submission(loop, loop.create_future(), events, published)
        self._queue.put(submission)
        return await submission.future

    def close(self) -> None:
        """Commit what was submitted, fold the log into the database and end the thread. Blocks."""
        self._closing = True
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        ended = False
        while not ended:
            group, ended = self._next_group()
            if group and self._commit_patiently(group):
                self._answer(group)
        self._connection.close()

    def _next_group(self) -> tuple[list[Submission], bool]:
        """Everything that waits, up to the limit; blocks for the first."""
        group: list[Submission] = []
        entry = self._queue.get()
        while entry is not None:
            group.append(entry)
            if len(group) >= GROUP_LIMIT or self._queue.empty():
                return group, False
            entry = self._queue.get()
        return group, True

    def _commit_patiently(self, group: Sequence[Submission]) -> bool:
        """Commit, again and again while the disk is full; gives up only when the daemon is to stop."""
        while True:
            try:
                self._commit(group)
            except sqlite3.OperationalError as error:
                self._undo()
                self._report_trouble(error.sqlite_errorname)
                if self._closing:
                    return False
                time.sleep(TROUBLE_PAUSE_SECONDS)
            else:
                self._report_trouble("")
                return True

    def _commit(self, group: Sequence[Submission]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for submission in group:
            self._connection.execute("SAVEPOINT submission")
            try:
                submission.result = [self._transaction.record(event, self._clock.now()) for event in submission.events]
                if submission.published:
                    self._connection.execute("DELETE FROM outbox WHERE seq <= ?", (submission.published,))
            except UndefinedTransition as refused:
                submission.result = refused
                self._connection.execute("ROLLBACK TO submission")
            self._connection.execute("RELEASE submission")
        self._connection.execute("COMMIT")

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _report_trouble(self, trouble: str) -> None:
        if trouble != self.trouble:
            self.trouble = trouble
            if trouble:
                log.error("journal waits", reason=trouble)
            else:
                log.info("journal goes on")

    def _answer(self, group: Sequence[Submission]) -> None:
        """Resolve all futures of the group with one wake-up per event loop."""
        for loop in {submission.loop for submission in group}:
            mine = [submission for submission in group if submission.loop is loop]
            loop.call_soon_threadsafe(_answer_all, mine)


def _answer_all(submissions: Sequence[Submission]) -> None:
    for submission in submissions:
        submission.answer()
