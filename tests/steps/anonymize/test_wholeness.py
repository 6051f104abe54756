"""Whether an image is whole is asked of a worker that may not take long: few are asked at once, and the others wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

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


@pytest.mark.parametrize(("limit", "allowed"), [(1800.0, LONGEST_SECONDS), (5.0, 5.0)], ids=["for a whole slide", "shorter"])
async def test_a_worker_may_take_a_minute_or_what_the_site_allows_a_whole_slide(tmp_path: Path, limit: float, allowed: float) -> None:
    request, executor = bench_in(tmp_path).request, Timed()
    files = PackFiles(PackId("a" * 16), "scanner", BatchId("b" * 12), RelativePath(b"a"), Barcode("a"), (request.image,))
    assert await Wholeness({"scanner": request.drop}, SupportedFormats(), executor, limit).missing(files) == ""
    assert executor.allowed == [allowed]
