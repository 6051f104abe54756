"""What one worker leaves in memory the next one finds, and nobody afterwards."""

from __future__ import annotations

import pytest

from slidekeeper.adapters.executor.processes import ProcessExecutor
from slidekeeper.adapters.scratch import MemoryScratch
from worker_jobs import find_rows, leave_rows


async def test_a_worker_finds_what_another_left() -> None:
    executor = ProcessExecutor(1, 4096, (), jobs_per_worker=1)
    try:
        with MemoryScratch().lend(2) as (place, other):
            await executor.run(leave_rows, place, 20)
            assert await executor.run(find_rows, place, 20) == b"rows"
            assert await executor.run(find_rows, other, 20) == b""
    finally:
        await executor.close()


def test_it_is_memory_of_no_file_system_and_ends_with_its_use() -> None:
    with MemoryScratch().lend(1) as (place,):
        assert place.readlink().name.startswith("memfd:")
        leave_rows(place)
    with pytest.raises(FileNotFoundError):
        find_rows(place)
