"""Threads that carry out jobs while more are found, with few waiting: memory stays bounded, and the first trouble ends it all."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore
from types import TracebackType

WAITING_PER_THREAD = 8


class Crew:
    """A context manager; leaving it waits for all jobs and raises the first one's trouble."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="restore")
        self._of_small = ThreadPoolExecutor(1, thread_name_prefix="restore-small")
        self._room = BoundedSemaphore(threads * WAITING_PER_THREAD)
        self._trouble: BaseException | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._trouble = self._trouble or error
        self._pool.shutdown(wait=True)
        self._of_small.shutdown(wait=True)
        if error is None and self._trouble is not None:
            raise self._trouble

    def submit(self, job: Callable[[], None], always: Callable[[], None], *, small: bool = False) -> None:
        """Hand over a job; waits while many wait. ``always`` is called behind it, also when it is no longer carried out.

        ``small`` jobs, made of many short calls, share one thread: several would only take the interpreter from each other.
        """
        self._room.acquire()
        pool = self._of_small if small else self._pool
        pool.submit(self._run, job, always).add_done_callback(self._done)
        if self._trouble is not None:
            raise self._trouble

    def _run(self, job: Callable[[], None], always: Callable[[], None]) -> None:
        try:
            if self._trouble is None:
                job()
        finally:
            always()

    def _done(self, future: Future[None]) -> None:
        self._room.release()
        self._trouble = self._trouble or future.exception()
