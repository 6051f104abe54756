"""The rows of stagings and runs tell what researchers want to know of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.messages import commands as order
from slidekeeper.messages import events as fact
from slidekeeper.model.run import MarkerIdentity, RunId
from slidekeeper.model.staging import StagingId
from slidekeeper.workflow.states import RunState, StagingState
from writers.events import RUN, STAGING, event_of, run_place, version_facts


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", ManualClock(1000), outbox=False)
    yield journal
    await journal.close()


async def test_an_ordered_staging_waits_to_be_copied(journal: SqliteJournal) -> None:
    recorded = await journal.commit(event_of(fact.StagingOrdered))
    [pending] = await journal.pending("stage", 0, 10)
    assert (pending.command, pending.seq, recorded.ordered) == (order.StageCohort(staging=STAGING), 1, "stage")
    row = await journal.staging(STAGING)
    assert row is not None
    assert (row.state, row.name, row.tier, row.by, row.cohort.slides, row.facts) == (
        StagingState.ORDERED,
        "gleason-high",
        "flash",
        "operator",
        12,
        None,
    )


async def test_a_complete_staging_shows_its_facts_and_a_failed_one_its_reason(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.StagingOrdered), event_of(fact.StagingFailed)])
    row = await journal.staging(STAGING)
    assert row is not None
    assert (row.attempts, row.reason) == (1, "share-slow")
    await journal.commit(event_of(fact.StagingCompleted))
    row = await journal.staging(STAGING)
    assert row is not None and row.facts is not None
    assert (row.state, row.facts.files, row.reason) == (StagingState.READY, 12, "")


async def test_the_newest_staging_of_a_name_is_found(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.StagingOrdered, staging=StagingId(each * 12)) for each in "fea"])
    row = await journal.staging_named("gleason-high")
    assert row is not None and row.staging == "a" * 12
    assert await journal.staging_named("nobody") is None


async def test_a_run_shows_its_place_its_marker_and_its_version(journal: SqliteJournal) -> None:
    await journal.commit(event_of(fact.RunAppeared))
    row = await journal.run_in("/runs/gleason/2026-11-24-a")
    assert row is not None
    assert (row.state, row.place, row.marker, row.facts) == (RunState.RUNNING, run_place(), None, None)
    await journal.commit_all([event_of(fact.RunFinished), event_of(fact.RunProtected)])
    row = await journal.run(RUN)
    assert row is not None and row.marker is not None
    assert (row.state, row.marker.message, row.facts) == (RunState.PROTECTED, "converged", version_facts())


async def test_a_run_in_quarantine_shows_why_and_waits_for_nothing(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.RunFinished), event_of(fact.RunQuarantined, reason="run-vanished")])
    [row] = await journal.runs([RunState.QUARANTINED])
    assert row.reason == "run-vanished"
    assert await journal.pending("protect", 0, 10) == []


async def test_runs_are_listed_by_state_and_id_page_by_page(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.RunAppeared, run=RunId(f"{number:012x}")) for number in range(5)])
    await journal.commit(event_of(fact.RunFinished, run=RunId(f"{3:012x}")))
    running = await journal.runs([RunState.RUNNING], after=f"{0:012x}", limit=2)
    assert [int(row.run, 16) for row in running] == [1, 2]
    assert len(await journal.runs()) == 5


async def test_a_run_remembers_the_marker_that_was_taken_up_last(journal: SqliteJournal) -> None:
    first, second = (MarkerIdentity(inode=inode, mtime_ns=1, size=0) for inode in (1, 2))
    await journal.commit(event_of(fact.RunFinished, seen=first))
    await journal.commit_all([event_of(fact.RunQuarantined), event_of(fact.RunFinished)])
    row = await journal.run(RUN)
    assert row is not None and row.seen == first, "what was no marker's doing changes nothing"
    await journal.commit_all([event_of(fact.RunProtected), event_of(fact.RunQuarantined, seen=second)])
    row = await journal.run(RUN)
    assert row is not None and row.seen == second
    assert await journal.run_counts() == {RunState.QUARANTINED: 1}
