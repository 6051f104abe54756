"""Asks a worker whether slides are whole: their headers are parsed where a hostile file can do no harm.

To hand a job to a worker costs more than to read the headers of a slide. So while one job is under way, what else is asked about the
same drop folder waits for the next, which answers all of it. A job that fails is done again slide by slide: only the one to blame fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextvars import Context
from typing import TypeAlias

from slidekeeper.errors import SlidekeeperError
from slidekeeper.model.phi import PackFiles
from slidekeeper.ports.drop import Drop
from slidekeeper.ports.executor import Executor
from slidekeeper.ports.formats import Registry
from slidekeeper.steps.anonymize.job import WholenessRequest, probe_wholeness

LONGEST_SECONDS = 60.0
"""Reading the headers of the largest slide takes a fraction of this, also from a share."""

TOGETHER = 16
"""Slides that one job looks at."""

Answer: TypeAlias = str | SlidekeeperError
Question: TypeAlias = tuple[WholenessRequest, asyncio.Future[str]]


class Wholeness:
    """Given to intake, which may not know of formats or workers."""

    def __init__(self, drops: Mapping[str, Drop], formats: Registry, executor: Executor, timeout_seconds: float) -> None:
        self._drops = drops
        self._formats = formats
        self._executor = executor
        self._seconds = min(timeout_seconds, LONGEST_SECONDS)
        self._waiting: dict[str, list[Question]] = {drop: [] for drop in drops}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def missing(self, files: PackFiles) -> str:
        """Why the pack's image is not whole yet, or an empty string."""
        [image] = files.images
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[files.drop].append((WholenessRequest(self._drops[files.drop], image, self._formats), answer))
        if files.drop not in self._asking:
            self._asking[files.drop] = asyncio.create_task(self._ask(files.drop), context=Context())
        return await answer

    async def _ask(self, drop: str) -> None:
        """Answer until nothing is asked any more; nobody is left without an answer, whatever happens."""
        portion: Sequence[Question] = ()
        try:
            while portion := self._waiting[drop][:TOGETHER]:
                del self._waiting[drop][:TOGETHER]
                await self._answer(portion)
        finally:
            del self._asking[drop]
            for _, answer in portion:
                answer.cancel()

    async def _answer(self, questions: Sequence[Question]) -> None:
        answers = await self._answers([request for request, _ in questions])
        for (_, waiting), answer in zip(questions, answers, strict=True):
            if waiting.cancelled():
                continue
            if isinstance(answer, SlidekeeperError):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    async def _answers(self, requests: Sequence[WholenessRequest]) -> Sequence[Answer]:
        try:
            return await self._executor.run(probe_all, requests, self._seconds)
        except SlidekeeperError as trouble:
            if len(requests) == 1:
                return [trouble]
        alone = await asyncio.gather(*(self._answers([request]) for request in requests))
        return [answer for (answer,) in alone]


def probe_all(requests: Sequence[WholenessRequest]) -> Sequence[Answer]:
    """The worker's job: what is wrong with one slide is told in its place, and keeps nobody from the others."""
    return [_probed(request) for request in requests]


def _probed(request: WholenessRequest) -> Answer:
    try:
        return probe_wholeness(request)
    except SlidekeeperError as trouble:
        return trouble
