"""Worker processes through pebble: a worker that dies, hangs or outgrows its memory takes only its own job with it.

All workers of a pool fetch their jobs under one lock. One that is killed just then takes the lock with it, and the pool stands still:
a job that does not start although workers are free means that, and goes to a new pool, as do all others.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as JobTimeout
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from slidekeeper.adapters.executor.sandbox import confine
from slidekeeper.errors import Permanent, Refused, SlidekeeperError, Temporary

A = TypeVar("A")
R = TypeVar("R")

SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""One job uses one core; numeric libraries would otherwise start a thread per core in every worker."""

POOLS_PER_JOB = 3
START_SECONDS = 60.0
LOOK_SECONDS = 1.0
STALL_SECONDS = 20.0
JOBS_PER_WORKER = 1000
"""A worker is replaced after so many jobs, so that what native libraries leak does not add up."""


class ProcessExecutor:
    """Implements :class:`slidekeeper.ports.executor.Executor`."""

    def __init__(
        self,
        workers: int,
        memory_megabytes: int,
        preload: Sequence[str],
        jobs_per_worker: int = JOBS_PER_WORKER,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        """
        Args:
            workers: how many.
            memory_megabytes: address space that one may use.
            preload: modules that the fork server, which all executors share, imports once: workers then share their memory.
            jobs_per_worker: after so many a worker is replaced; one leaves nothing of a job in memory.
            stall_seconds: a pool in which no job starts for so long, although workers are free, stands still.
        """
        self._workers = workers
        self._stall_seconds = stall_seconds
        self._flights: dict[ProcessPool, set[ProcessFuture[Any]]] = {}
        """Jobs that were handed to each pool and are not done."""
        os.environ.update({name: os.environ.get(name, value) for name, value in SINGLE_THREADED.items()})
        context = multiprocessing.get_context("forkserver")
        if preload:
            context.set_forkserver_preload(list(preload))
        self._make_pool = partial(
            ProcessPool, max_workers=workers, max_tasks=jobs_per_worker, initializer=confine, initargs=[memory_megabytes], context=context
        )
        self._pool: ProcessPool = self._make_pool()
        self._started: ProcessPool | None = None
        self._starting = asyncio.Lock()

    async def run(self, job: Callable[[A], R], argument: A, timeout_seconds: float) -> R:
        """Return ``job(argument)``, computed in a worker; where the pool itself broke, in one of a new pool."""
        for _ in range(POOLS_PER_JOB):
            pool = await self._ready_pool()
            try:
                return await self._run_in(pool, job, argument, timeout_seconds)
            except BrokenProcessPool:
                await self._replace(pool)
        raise Temporary("worker-crashed", "its pool of workers broke with it")

    async def warm_up(self) -> None:
        """Start the workers before the first job needs them.

        Raises:
            Refused: they do not come up, or may not be confined; no job would ever be done.
        """
        try:
            async with asyncio.timeout(START_SECONDS):
                await self.run(_answer, None, START_SECONDS)
        except TimeoutError:
            raise Refused("workers-do-not-start", "no worker answered", "See the messages before this one") from None

    async def close(self) -> None:
        """End all workers at once."""
        await asyncio.to_thread(_end, self._pool)

    async def _run_in(self, pool: ProcessPool, job: Callable[[A], R], argument: A, timeout_seconds: float) -> R:
        try:
            future = pool.schedule(_at_the_edge, args=[job, argument], timeout=timeout_seconds)
        except RuntimeError:
            raise BrokenProcessPool from None
        self._flights.setdefault(pool, set()).add(future)
        answer = asyncio.wrap_future(future)
        try:
            await self._finished_in(pool, future, answer)
            result: R = await answer
        except JobTimeout:
            raise Temporary("worker-timeout", f"not done after {timeout_seconds:.0f} seconds") from None
        except ProcessExpired as death:
            raise Temporary("worker-crashed", f"exit code {death.exitcode}") from None
        except asyncio.CancelledError:
            if future.cancelled() and not _is_cancelling():  # with its pool, which stood still
                raise BrokenProcessPool from None
            raise
        finally:
            answer.cancel()
            self._flights.get(pool, set()).discard(future)
        return result

    async def _finished_in(self, pool: ProcessPool, future: ProcessFuture[R], answer: asyncio.Future[R]) -> None:
        """Return when a job is done, however it ended.

        Raises:
            BrokenProcessPool: workers were free all the time, and none took it.
        """
        free_for = 0.0
        while not (await asyncio.wait({answer}, timeout=LOOK_SECONDS))[0]:
            is_free = sum(flight.running() for flight in self._flights.get(pool, ())) < self._workers
            free_for = free_for + LOOK_SECONDS if is_free and not future.running() else 0.0
            if free_for >= self._stall_seconds:
                raise BrokenProcessPool("no worker takes a job")

    async def _ready_pool(self) -> ProcessPool:
        """The pool, its workers started: the fork server's imports take a second, and must not take it from the event loop."""
        if self._started is not self._pool:
            async with self._starting:
                pool = self._pool
                await asyncio.to_thread(lambda: pool.active)
                self._started = pool
        return self._pool

    async def _replace(self, broken: ProcessPool) -> None:
        """A pool breaks when a worker dies between two jobs; the first job that sees it makes a new one."""
        if self._pool is broken:
            self._pool = self._make_pool()
            await asyncio.to_thread(_end, broken)
            self._flights.pop(broken, None)


def _answer(_: None) -> None:
    """The smallest job."""


def _is_cancelling() -> bool:
    """Whether somebody wants the running task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]
    pool.join()


def _at_the_edge(job: Callable[[A], R], argument: A) -> R:
    """Run a job in its worker; nothing but our own errors leaves it, for a foreign error's text may name a file."""
    try:
        return job(argument)
    except SlidekeeperError:
        raise
    except MemoryError:
        raise Temporary("worker-memory", "the slide needs more memory than a worker may use") from None
    except BaseException as fault:  # SystemExit too: pebble would raise it again in the daemon, and end its event loop
        raise Permanent("worker-error", type(fault).__name__) from None
