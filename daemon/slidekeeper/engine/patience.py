"""Questions to disks and shares that may never be answered: a call on a dead server hangs, and nothing can end its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import Generic, TypeAlias, TypeVar

from slidekeeper.errors import SlidekeeperError, Temporary

T = TypeVar("T")
Answer: TypeAlias = "tuple[T, None] | tuple[None, SlidekeeperError]"


class PatientQuestion(Generic[T]):
    """Asks one question at a time, each in a thread of its own.

    While an answer is awaited no second thread is started, however often it is asked; and neither other questions nor the end of
    the process wait for one that hangs.
    """

    def __init__(self, question: Callable[[], T]) -> None:
        """``question`` returns its answer, or raises a SlidekeeperError."""
        self._question = question
        self._asked: Future[Answer[T]] | None = None

    async def ask(self, within_seconds: float) -> T:
        """The answer to this question, or to an earlier one that took its time.

        Raises:
            TimeoutError: there is none yet.
            SlidekeeperError: that is the answer.
        """
        if self._asked is None:
            self._asked = Future()
            Thread(target=self._answer, args=[self._asked], name="patient-question", daemon=True).start()
        answered = asyncio.wrap_future(self._asked)
        done, _ = await asyncio.wait({answered}, timeout=within_seconds)
        if not done:
            raise TimeoutError
        self._asked = None
        answer = answered.result()
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def _answer(self, asked: Future[Answer[T]]) -> None:
        answer: Answer[T] = None, Temporary("no-answer", "the question ended with a fault; see the log")
        try:
            answer = self._question(), None
        except SlidekeeperError as trouble:
            answer = None, trouble
        finally:
            asked.set_result(answer)
