"""Whether an image is whole is asked of a worker that may not take long: few are asked at once, and the others wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from slidekeeper.errors import Temporary
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import Barcode, PackFiles, RelativePath
from slidekeeper.steps.anonymize.wholeness import LONGEST_SECONDS, Wholeness
from steps.anonymize.slide_bench import bench_in

A, R = TypeVar("A"), TypeVar("R")


class Timed:
    """An executor without workers that notes how long a job may take."""

    def __init__(self) -> None:
        self.allowed: list[float] = []

    async def run(self, job: Callable[[A], R], argument: A, timeout_seconds: float) -> R:
        self.allowed.append(timeout_seconds)
        return job(argument)

    async def close(self) -> None:
        """Nothing to close."""


class Slow:
    """An executor that crashes over more than so many slides at once, and lets others ask meanwhile."""

    def __init__(self, most: int = 100) -> None:
        self.sizes: list[int] = []
        self._most = most

    async def run(self, job: Callable[[A], R], argument: A, timeout_seconds: float) -> R:
        assert isinstance(argument, list)
        self.sizes.append(len(argument))
        await asyncio.sleep(0.01)
        if len(argument) > self._most:
            raise Temporary("worker-crashed", "exit code -9")
        return job(argument)

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize(("limit", "allowed"), [(1800.0, LONGEST_SECONDS), (5.0, 5.0)], ids=["for a whole slide", "shorter"])
async def test_a_worker_may_take_a_minute_or_what_the_site_allows_a_whole_slide(tmp_path: Path, limit: float, allowed: float) -> None:
    request, executor = bench_in(tmp_path).request, Timed()
    files = PackFiles(PackId("a" * 16), "scanner", BatchId("b" * 12), RelativePath(b"a"), Barcode("a"), (request.image,))
    assert await Wholeness({"scanner": request.drop}, SupportedFormats(), executor, limit).missing(files) == ""
    assert executor.allowed == [allowed]


async def test_what_is_asked_while_a_worker_looks_is_answered_by_the_next_job_together(tmp_path: Path) -> None:
    bench, executor = bench_in(tmp_path), Slow()
    files = PackFiles(PackId("a" * 16), "scanner", BatchId("b" * 12), RelativePath(b"a"), Barcode("a"), (bench.request.image,))
    wholeness = Wholeness({"scanner": bench.request.drop}, SupportedFormats(), executor, 5.0)
    first = asyncio.create_task(wholeness.missing(files))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(wholeness.missing(files)) for _ in range(3)]
    assert await asyncio.gather(first, *others) == [""] * 4
    assert executor.sizes == [1, 3]


async def test_a_job_that_fails_is_done_again_slide_by_slide(tmp_path: Path) -> None:
    bench, executor = bench_in(tmp_path), Slow(most=1)
    files = PackFiles(PackId("a" * 16), "scanner", BatchId("b" * 12), RelativePath(b"a"), Barcode("a"), (bench.request.image,))
    wholeness = Wholeness({"scanner": bench.request.drop}, SupportedFormats(), executor, 5.0)
    assert await asyncio.gather(*(wholeness.missing(files) for _ in range(3))) == [""] * 3
    assert executor.sizes == [3, 1, 1, 1]


async def test_whose_slide_brings_down_the_worker_is_told_so(tmp_path: Path) -> None:
    bench, executor = bench_in(tmp_path), Slow(most=0)
    files = PackFiles(PackId("a" * 16), "scanner", BatchId("b" * 12), RelativePath(b"a"), Barcode("a"), (bench.request.image,))
    with pytest.raises(Temporary, match="worker-crashed"):
        await Wholeness({"scanner": bench.request.drop}, SupportedFormats(), executor, 5.0).missing(files)
