"""Whatever a job does to its worker process, the daemon gets one of its own errors, no identifier, and a pool that still works."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import slidekeeper
import worker_jobs as jobs
from slidekeeper.adapters.executor.processes import ProcessExecutor
from slidekeeper.errors import Permanent, SlidekeeperError, SourceChanged, SourceUnreadable, Temporary, Unavailable

MEGABYTES = 2000
PATIENCE = 60.0
SEARCHED = os.pathsep.join([str(Path(slidekeeper.__file__).parents[1]), str(Path(jobs.__file__).parent)])

DAEMON = """
import asyncio, sys, pathlib
import worker_jobs as jobs
from slidekeeper.adapters.executor.processes import ProcessExecutor

async def main():
    executor = ProcessExecutor(1, 2000, [])
    if sys.argv[1] == "chatter":
        await executor.run(jobs.chatter, None, 60)
        await executor.close()
        print("done", flush=True)
    else:
        await executor.run(jobs.wait, pathlib.Path(sys.argv[2]), 600)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def executor() -> AsyncIterator[ProcessExecutor]:
    """One worker for the whole file: every test but the first shows that it works after what came before."""
    executor = ProcessExecutor(1, MEGABYTES, ["worker_jobs"])
    yield executor
    await executor.close()


pytestmark = pytest.mark.asyncio(loop_scope="module")


def is_alive(process: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent_of(process: int) -> int:
    """The parent's process id."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def wait_for(what: object, seconds: float = 30.0) -> None:
    """Poll until ``what()`` is true."""
    assert callable(what)
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


async def test_a_job_returns_its_result(executor: ProcessExecutor) -> None:
    assert await executor.run(jobs.double, 21, PATIENCE) == 42


async def test_a_job_runs_in_another_process(executor: ProcessExecutor) -> None:
    assert await executor.run(jobs.pid, None, PATIENCE) != os.getpid()


@pytest.mark.parametrize(
    "kind", [known for known in jobs.error_classes() if known not in {Unavailable, SourceUnreadable}], ids=lambda kind: kind.__name__
)
async def test_our_own_errors_come_back_as_they_were(executor: ProcessExecutor, kind: type[SlidekeeperError]) -> None:
    with pytest.raises(SlidekeeperError) as raised:
        await executor.run(jobs.raise_it, kind("a-reason", "the detail", "the remedy"), PATIENCE)
    assert type(raised.value) is kind
    assert (raised.value.reason, raised.value.detail, raised.value.remedy) == ("a-reason", "the detail", "the remedy")


async def test_a_source_that_cannot_be_read_comes_back_with_the_systems_number(executor: ProcessExecutor) -> None:
    with pytest.raises(SourceUnreadable) as raised:
        await executor.run(jobs.raise_it, SourceUnreadable(errno.ESTALE), PATIENCE)
    assert (raised.value.number, raised.value.detail) == (errno.ESTALE, "ESTALE")


async def test_what_is_unavailable_comes_back_with_its_place(executor: ProcessExecutor) -> None:
    with pytest.raises(Unavailable) as raised:
        await executor.run(jobs.raise_it, Unavailable("drop:one", "unreachable", "ESTALE", "Mount it"), PATIENCE)
    error = raised.value
    assert (error.place, error.reason, error.detail, error.remedy) == ("drop:one", "unreachable", "ESTALE", "Mount it")


async def test_a_foreign_error_becomes_ours_without_its_text(executor: ProcessExecutor) -> None:
    with pytest.raises(Permanent) as raised:
        await executor.run(jobs.raise_named, None, PATIENCE)
    assert (raised.value.reason, raised.value.detail) == ("worker-error", "ValueError")
    assert jobs.NAME not in "".join(traceback.format_exception(raised.value))


async def test_an_error_of_ours_brings_no_foreign_text_along(executor: ProcessExecutor) -> None:
    with pytest.raises(SourceChanged) as raised:
        await executor.run(jobs.raise_ours_after_named, None, PATIENCE)
    assert jobs.NAME not in "".join(traceback.format_exception(raised.value))


async def test_a_job_that_calls_exit_does_not_end_the_daemon(executor: ProcessExecutor) -> None:
    with pytest.raises(Permanent) as raised:
        await executor.run(jobs.leave, None, PATIENCE)
    assert (raised.value.reason, raised.value.detail) == ("worker-error", "SystemExit")


async def test_a_crashed_worker_is_a_temporary_error(executor: ProcessExecutor) -> None:
    with pytest.raises(Temporary) as raised:
        await executor.run(jobs.crash, None, PATIENCE)
    assert raised.value.reason == "worker-crashed"


async def test_an_endless_loop_is_ended_after_its_time(executor: ProcessExecutor) -> None:
    with pytest.raises(Temporary) as raised:
        await executor.run(jobs.spin, None, 0.5)
    assert raised.value.reason == "worker-timeout"


async def test_a_job_cannot_use_up_the_machines_memory(executor: ProcessExecutor) -> None:
    with pytest.raises(Temporary) as raised:
        await executor.run(jobs.hoard, None, PATIENCE)
    assert raised.value.reason == "worker-memory"


async def test_the_pool_works_on_after_a_crash(executor: ProcessExecutor) -> None:
    with pytest.raises(Temporary):
        await executor.run(jobs.crash, None, PATIENCE)
    assert await executor.run(jobs.double, 4, PATIENCE) == 8


async def test_a_crash_takes_only_its_own_job_along(executor: ProcessExecutor) -> None:
    results = await asyncio.gather(
        executor.run(jobs.double, 1, PATIENCE),
        executor.run(jobs.crash, None, PATIENCE),
        executor.run(jobs.double, 3, PATIENCE),
        return_exceptions=True,
    )
    assert results[::2] == [2, 6]
    assert isinstance(results[1], Temporary)


async def test_a_worker_may_not_dump_its_memory_nor_gain_rights(executor: ProcessExecutor) -> None:
    assert await executor.run(jobs.confinement, None, PATIENCE) == (MEGABYTES * 1_000_000, 0, "1")


async def test_a_cancelled_job_is_ended(executor: ProcessExecutor, tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    running = asyncio.ensure_future(executor.run(jobs.wait, marker, 600))
    await asyncio.to_thread(wait_for, marker.exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    worker = int(marker.read_text())
    await asyncio.to_thread(wait_for, lambda: not is_alive(worker))


async def test_closing_ends_a_worker_in_the_midst_of_its_job(tmp_path: Path) -> None:
    executor, marker = ProcessExecutor(1, MEGABYTES, []), tmp_path / "pid"
    running = asyncio.ensure_future(executor.run(jobs.wait, marker, 600))
    await asyncio.to_thread(wait_for, marker.exists)
    await executor.close()
    running.cancel()
    await asyncio.wait([running])
    assert not is_alive(int(marker.read_text()))


async def test_nothing_a_worker_prints_comes_out(tmp_path: Path) -> None:
    command = [sys.executable, str(_daemon(tmp_path)), "chatter"]
    printed = subprocess.run(command, env={**os.environ, "PYTHONPATH": SEARCHED}, capture_output=True, check=True, timeout=60)
    assert (printed.stdout, printed.stderr) == (b"done\n", b"")


async def test_a_worker_and_its_fork_server_die_with_a_killed_daemon(tmp_path: Path) -> None:
    marker = tmp_path / "pid"
    command = [sys.executable, str(_daemon(tmp_path)), "wait", str(marker)]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": SEARCHED}, stderr=subprocess.DEVNULL) as daemon:
        wait_for(marker.exists)
        worker = int(marker.read_text())
        server = parent_of(worker)
        daemon.send_signal(signal.SIGKILL)
    try:
        wait_for(lambda: not is_alive(worker) and not is_alive(server))
    finally:
        for process in (worker, server):
            if is_alive(process):
                os.kill(process, signal.SIGKILL)


def _daemon(folder: Path) -> Path:
    """A small daemon's script."""
    script = folder / "small_daemon.py"
    script.write_text(DAEMON)
    return script


async def test_a_worker_that_is_killed_while_it_fetches_a_job_stops_nobody_for_long() -> None:
    executor = ProcessExecutor(2, 2048, (), stall_seconds=2.0)
    try:
        with pytest.raises(Temporary):
            await executor.run(jobs.die_with_the_lock, None, PATIENCE)
        async with asyncio.timeout(30):
            answers = await asyncio.gather(*(executor.run(jobs.double, number, PATIENCE) for number in range(6)))
        assert answers == [0, 2, 4, 6, 8, 10]
    finally:
        await executor.close()
