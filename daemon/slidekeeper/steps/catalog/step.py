"""The catalog step: the projection catches up with the journal, for many waiting packs at once."""

from __future__ import annotations

import asyncio
from contextvars import Context

from slidekeeper.messages.commands import CatalogSlide
from slidekeeper.messages.events import SlideCatalogued
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.journal import Journal

PAGE = 500
"""Events in one transaction of the catalog."""

GATHER_SECONDS = 0.5
"""Shortest time between two projections; a transaction costs the catalog as much as fifty rows do."""


class CatalogStep:
    """Projects the journal into the catalog; one projection at a time serves everyone who waits."""

    def __init__(self, catalog: Catalog, journal: Journal) -> None:
        self._catalog = catalog
        self._journal = journal
        self._projecting = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        """The projection that has not looked at the journal yet: it will find what anybody who joins now is waiting for."""
        self._is_ours = False
        """Whether the catalog was found to belong to this journal."""
        self._last = float("-inf")

    async def run(self, command: CatalogSlide) -> SlideCatalogued:
        """The slide was stored before this command was given, so a projection that begins now covers it."""
        if self._next is None:
            self._next = asyncio.create_task(self._project_next(), context=Context())
        await asyncio.shield(self._next)
        return SlideCatalogued(pack=command.pack, number=command.number, revision=command.revision)

    async def catch_up(self, head: int) -> int:
        """Return when every event up to ``head`` is in the catalog, and how far that now reaches; what was withdrawn leaves no bytes.

        The catalog is asked each time where it stands: one that was found damaged is begun anew, whoever found it.
        """
        async with self._projecting:
            return await self._reach(head)

    async def _project_next(self) -> None:
        """Let those who come within a moment join; under load many packs then share one projection."""
        try:
            async with self._projecting:
                await asyncio.sleep(self._last + GATHER_SECONDS - asyncio.get_running_loop().time())
                self._next = None
                await self._reach(await self._journal.head())
        finally:
            if self._next is asyncio.current_task():
                self._next = None

    async def _reach(self, head: int) -> int:
        reached = await self._position()
        while reached < head:
            page = await self._journal.events(reached, PAGE)
            position = page[-1].seq if page else head
            await self._catalog.project(page, position)
            reached = position
        await self._catalog.compact()
        self._last = asyncio.get_running_loop().time()
        return reached

    async def _position(self) -> int:
        """The catalog's position; a catalog that knows more than the journal belongs to another one and is begun anew."""
        position = await self._catalog.position()
        if not self._is_ours and position > await self._journal.head():
            await self._catalog.reset()
            position = 0
        self._is_ours = True
        return position
