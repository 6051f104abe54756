"""Questions to disks and shares that may never be answered: a call on a dead server hangs, and nothing can end its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeAlias, TypeVar

from slidekeeper.errors import SlidekeeperError, Temporary

T = TypeVar("T")
Answer: TypeAlias = "tuple[T, None] | tuple[None, SlidekeeperError]"


class PatientQuestion(Generic[T]):
    """Asks one question again and again, in a thread of its own.

    While an answer is awaited it is asked no second time; and neither other questions nor the end of the process wait for one that
    hangs.
    """

    def __init__(self, question: Callable[[], T]) -> None:
        """``question`` returns its answer, or raises a SlidekeeperError."""
        self._question = question
        self._asked: Future[Answer[T]] | None = None
        self._orders: SimpleQueue[Future[Answer[T]]] = SimpleQueue()
        self._thread: Thread | None = None

    async def ask(self, within_seconds: float) -> T:
        """The answer to this question, or to an earlier one that took its time.

        Raises:
            TimeoutError: there is none yet.
            SlidekeeperError: that is the answer.
        """
        if self._asked is None:
            self._asked = Future()
            self._orders.put(self._asked)
            self._begin()
        answered = asyncio.wrap_future(self._asked)
        done, _ = await asyncio.wait({answered}, timeout=within_seconds)
        if not done:
            raise TimeoutError
        self._asked = None
        answer = answered.result()
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def _begin(self) -> None:
        """Start the thread, once: its start is waited for, and the event loop with it."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = Thread(target=self._answer_all, name="patient-question", daemon=True)
            self._thread.start()

    def _answer_all(self) -> None:
        while True:
            self._answer(self._orders.get())

    def _answer(self, asked: Future[Answer[T]]) -> None:
        answer: Answer[T] = None, Temporary("no-answer", "the question ended with a fault; see the log")
        try:
            answer = self._question(), None
        except SlidekeeperError as trouble:
            answer = None, trouble
        finally:
            asked.set_result(answer)
