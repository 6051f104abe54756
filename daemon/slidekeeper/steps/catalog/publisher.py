"""Publishes the catalog as Parquet, but not more often than the site wants: many changes become one publication."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from slidekeeper.errors import Temporary, Unavailable
from slidekeeper.ports.catalog import Catalog
from slidekeeper.steps.catalog.step import CatalogStep

log = structlog.get_logger(__name__)

REST_SHARE = 20
"""A publication is followed by a rest of so many times its length: a large catalog is published less often, at a bounded cost."""


class Publisher:
    """Watches the catalog's position and publishes when it moved."""

    def __init__(self, catalog: Catalog, step: CatalogStep, head: Callable[[], Awaitable[int]], folder: Path, seconds: float) -> None:
        """``head`` tells the journal's newest event; ``seconds`` is the shortest time between two publications."""
        self._catalog = catalog
        self._step = step
        self._head = head
        self._folder = folder
        self._seconds = seconds
        self._published = -1

    async def run(self) -> None:
        """Publish for ever, at most every so many seconds."""
        while True:
            started = asyncio.get_running_loop().time()
            await self.publish_if_possible()
            took = asyncio.get_running_loop().time() - started
            await asyncio.sleep(max(self._seconds, REST_SHARE * took))

    async def publish_if_possible(self) -> None:
        """Publish now; a disk or bucket that is away is told and waited for."""
        try:
            await self.publish_now()
        except (Temporary, Unavailable) as trouble:
            log.warning("catalog not published", reason=trouble.reason, detail=trouble.detail)

    async def publish_now(self) -> None:
        """Bring the catalog up to the journal and publish it, unless that is what was published last."""
        position = await self._step.catch_up(await self._head())
        if position != self._published:
            await self._catalog.publish(self._folder)
            self._published = position
