"""Asks a worker whether a slide is whole: its headers are parsed where a hostile file can do no harm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slidekeeper.model.phi import PackFiles
from slidekeeper.ports.drop import Drop
from slidekeeper.ports.executor import Executor
from slidekeeper.ports.formats import Registry
from slidekeeper.steps.anonymize.job import WholenessRequest, probe_wholeness

LONGEST_SECONDS = 60.0
"""Reading the headers of the largest slide takes a fraction of this, also from a share."""


@dataclass(frozen=True, slots=True)
class Wholeness:
    """Given to intake, which may not know of formats or workers."""

    drops: Mapping[str, Drop]
    formats: Registry
    executor: Executor
    timeout_seconds: float

    async def missing(self, files: PackFiles) -> str:
        """Why the pack's image is not whole yet, or an empty string."""
        [image] = files.images
        request = WholenessRequest(self.drops[files.drop], image, self.formats)
        return await self.executor.run(probe_wholeness, request, min(self.timeout_seconds, LONGEST_SECONDS))
