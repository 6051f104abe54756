"""The policy is applied to what the journal says, soon after a run was protected; stagings go once no run needs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.engine.engine import Engine
from slidekeeper.messages import events as fact
from slidekeeper.model.run import CleaningFacts, DoneMarker, RunId
from slidekeeper.settings.training import CleanupSettings
from slidekeeper.steps.cleanup import cleaner as cleaner_module
from slidekeeper.steps.cleanup.cleaner import Cleaner, Volume
from slidekeeper.workflow.retry import RetryPolicy
from slidekeeper.workflow.states import RunState, StagingState
from writers.events import STAGING, event_of, run_place

ONE, TWO = RunId("1" * 12), RunId("2" * 12)


class Site:
    """A journal with an engine, and a disk as full as the test wants."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(1_000_000)
        self.journal = SqliteJournal.open(folder / "journal.sqlite", self.clock, outbox=False)
        self.engine = Engine(self.journal, [], {}, self.clock, RetryPolicy(), 1.0)
        self.volumes = {"/runs": Volume(1, 0)}

    def cleaner(self, **chosen: Any) -> Cleaner:
        settings = CleanupSettings(**chosen)
        return Cleaner(self.journal, self.engine.submit, self.engine.committed, lambda: self.volumes, self.clock, settings)

    async def protected(self, run: RunId, staging: str = "", root: str = "/runs") -> None:
        place = run_place(name=run).model_copy(update={"root": root})
        await self.engine.submit(fact.RunAppeared(run=run, place=place))
        await self.engine.submit(fact.RunFinished(run=run, place=place, marker=DoneMarker(staging=staging), by="marker"))
        await self.engine.submit(event_of(fact.RunProtected, run=run))

    async def cleaned(self, run: RunId) -> None:
        await self.engine.submit(fact.RunReleased(run=run, by="policy", reason="at-once"))
        await self.engine.submit(fact.RunCleaned(run=run, facts=CleaningFacts(files=1, size=1, left=0, scripts=0, seconds=0.1)))

    async def staged(self) -> None:
        await self.engine.submit(event_of(fact.StagingOrdered))
        await self.engine.submit(event_of(fact.StagingCompleted))

    async def state(self, run: RunId) -> RunState:
        row = await self.journal.run(run)
        assert row is not None
        return row.state

    async def staging_state(self) -> StagingState:
        row = await self.journal.staging(STAGING)
        assert row is not None
        return row.state


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    await site.journal.close()


async def test_a_policy_of_at_once_releases_what_lies_in_a_root_that_is_there(site: Site) -> None:
    await site.protected(ONE)
    await site.protected(TWO, root="")
    await site.protected(RunId("3" * 12), root="/away")
    await site.cleaner(runs="at-once").look()
    assert [await site.state(run) for run in (ONE, TWO, RunId("3" * 12))] == [RunState.RELEASED, RunState.PROTECTED, RunState.PROTECTED]
    row = await site.journal.run(ONE)
    assert row is not None and row.reason == "at-once"


async def test_low_space_counts_what_is_being_cleaned_already(site: Site) -> None:
    for run in (ONE, TWO):
        await site.protected(run)
        site.clock.seconds += 60
    cleaner = site.cleaner(runs="low-space", low_space_bytes=1)
    for _ in range(3):
        await cleaner.look()
    assert [await site.state(run) for run in (ONE, TWO)] == [RunState.RELEASED, RunState.PROTECTED]


async def test_after_days_waits_for_them(site: Site) -> None:
    await site.protected(ONE)
    cleaner = site.cleaner(runs="after-days", after_days=2)
    await cleaner.look()
    assert await site.state(ONE) is RunState.PROTECTED
    site.clock.seconds += timedelta(days=2).total_seconds()
    await cleaner.look()
    assert await site.state(ONE) is RunState.RELEASED


async def test_a_run_is_released_soon_after_it_was_protected(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaner_module, "GATHER_SECONDS", 0.01)
    running = asyncio.ensure_future(site.cleaner(runs="at-once").run())
    await asyncio.sleep(0.05)
    await site.protected(ONE)
    async with asyncio.timeout(10):
        while await site.state(ONE) is not RunState.RELEASED:
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_staging_is_released_when_the_last_run_that_trained_on_it_is_cleaned(site: Site) -> None:
    await site.staged()
    await site.protected(ONE, "gleason-high")
    await site.protected(TWO, "gleason-high")
    cleaner = site.cleaner(stagings="release")
    await site.cleaned(ONE)
    await cleaner.look()
    assert await site.staging_state() is StagingState.READY
    await site.cleaned(TWO)
    await cleaner.look()
    assert await site.staging_state() is StagingState.RELEASED


async def test_a_staging_is_kept_while_any_run_is_trained_and_where_nobody_says_that_he_used_it(site: Site) -> None:
    await site.staged()
    cleaner = site.cleaner(stagings="release")
    await site.protected(TWO, "another")
    await site.cleaned(TWO)
    await cleaner.look()
    await site.protected(ONE, "gleason-high")
    await site.cleaned(ONE)
    await site.engine.submit(fact.RunAppeared(run=RunId("3" * 12), place=run_place(name="third")))
    await cleaner.look()
    assert await site.staging_state() is StagingState.READY


async def test_a_run_older_than_the_staging_proves_nothing_about_it(site: Site) -> None:
    await site.protected(ONE, "gleason-high")
    await site.cleaned(ONE)
    site.clock.seconds += 60
    await site.staged()
    await site.cleaner(stagings="release").look()
    assert await site.staging_state() is StagingState.READY


async def test_the_default_keeps_everything(site: Site) -> None:
    await site.staged()
    await site.protected(ONE, "gleason-high")
    await site.cleaner().look()
    assert await site.state(ONE) is RunState.PROTECTED
    await site.cleaned(ONE)
    await site.cleaner().look()
    assert await site.staging_state() is StagingState.READY
