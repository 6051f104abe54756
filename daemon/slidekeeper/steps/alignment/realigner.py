"""Looks for slides that came after the rows that mean them: their records are aligned again, by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from slidekeeper.errors import SlidekeeperError, UndefinedTransition
from slidekeeper.messages.events import RecordsOutdated, SlideStored
from slidekeeper.model.records import RecordsId
from slidekeeper.ports.catalog import Catalog
from slidekeeper.ports.deliveries import KnownRecords
from slidekeeper.ports.journal import Journal, Recorded
from slidekeeper.ports.linking import Linking
from slidekeeper.workflow.states import RecordsState

log = structlog.get_logger(__name__)

PAGE = 500
STORED = (SlideStored.model_fields["type"].default,)


class Realigner:
    """Follows the journal; its position is remembered, so that a restart misses no slide."""

    def __init__(
        self,
        journal: Journal,
        catalog: Catalog,
        linking: Linking,
        known: KnownRecords,
        report: Callable[[RecordsOutdated], Awaitable[object]],
        catch_up: Callable[[], Awaitable[None]],
        seconds: float,
    ) -> None:
        """``seconds``: pause between two looks; many slides then cost one."""
        self._journal = journal
        self._catalog = catalog
        self._linking = linking
        self._known = known
        self._report = report
        self._catch_up = catch_up
        self._seconds = seconds

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except SlidekeeperError as trouble:
                log.warning("late slides not looked for", reason=trouble.reason, detail=trouble.detail)
            await asyncio.sleep(self._seconds)

    async def look(self) -> None:
        """Go through the slides that were stored since the last look, as far as their records can be aligned again now."""
        after = await self._known.watched_to()
        while page := await self._journal.events(after, PAGE, STORED):
            await self._catch_up()
            if not await self._outdate(await self._affected(page)):
                return
            after = page[-1].seq
            await self._known.watch_from(after)

    async def _affected(self, page: Sequence[Recorded]) -> Sequence[RecordsId]:
        """Records with rows that wait for one of these slides, and records of the same sessions."""
        if not await self._catalog.has_alignments():
            return ()
        facts = [recorded.event.facts for recorded in page if isinstance(recorded.event, SlideStored)]
        numbers = {each.number for each in facts}
        aliases = await self._linking.aliases(sorted(numbers))
        names = numbers | {number for same in aliases.values() for number in same}
        waiting = await self._catalog.waiting_for(sorted(names))
        return sorted({*waiting, *await self._known.of_batches(sorted({each.batch for each in facts}))})

    async def _outdate(self, affected: Sequence[RecordsId]) -> bool:
        """Order new alignments; False when one is under way, which may have missed a slide: then it is looked at again."""
        rows = [row for records in affected if (row := await self._journal.records_row(records)) is not None]
        if any(row.state is RecordsState.LOADED for row in rows):
            return False
        for row in rows:
            if row.state is RecordsState.ALIGNED:
                outdated = RecordsOutdated(records=row.records, revision=row.revision, batch=row.batch, alignment=row.alignment + 1)
                try:
                    await self._report(outdated)
                except UndefinedTransition:
                    return False
        return True
