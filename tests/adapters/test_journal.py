"""Event, state, next command, count and outbox row are committed together, or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Refused, Unavailable, UndefinedTransition
from slidekeeper.messages import commands as order
from slidekeeper.messages import events as fact
from slidekeeper.ports.journal import Recorded
from slidekeeper.workflow.states import BatchState, PackState
from writers.events import BATCH, event_of, pack_id, slide_facts

PACK = pack_id(1)
UNTIL_STORED = (fact.PackArrived, fact.PackSettled, fact.SlideAnonymized, fact.SlideStored)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", ManualClock(1000), outbox=False)
    yield journal
    await journal.close()


@pytest.fixture
async def publishing(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal.open(tmp_path / "publishing.sqlite", ManualClock(1000), outbox=True)
    yield journal
    await journal.close()


async def types(journal: SqliteJournal) -> list[str]:
    return [recorded.event.type for recorded in await journal.events(0, 10_000)]


async def test_an_event_is_read_as_it_was_committed(journal: SqliteJournal) -> None:
    recorded = await journal.commit(event_of(fact.PackArrived))
    assert await journal.events(0, 10) == [recorded]
    assert (recorded.seq, recorded.time) == (1, datetime.fromtimestamp(1000, UTC))


async def test_events_committed_at_once_by_many_tasks_keep_their_order(journal: SqliteJournal) -> None:
    recorded = await asyncio.gather(*(journal.commit(event_of(fact.PackArrived, pack_id(number))) for number in range(600)))
    assert [record.seq for record in recorded] == list(range(1, 601))
    assert len({record.id for record in recorded}) == 600
    assert await journal.events(0, 1000) == recorded


async def test_events_committed_at_once_share_transactions(journal: SqliteJournal, tmp_path: Path) -> None:
    await journal.commit(event_of(fact.DaemonStarted))
    log = tmp_path / "journal.sqlite-wal"
    before = log.stat().st_size
    await journal.commit(event_of(fact.PackArrived, pack_id(9999)))
    alone = log.stat().st_size - before
    before = log.stat().st_size
    await asyncio.gather(*(journal.commit(event_of(fact.PackArrived, pack_id(number))) for number in range(200)))
    assert log.stat().st_size - before < 50 * alone


async def test_an_undefined_transition_leaves_nothing_behind(publishing: SqliteJournal) -> None:
    with pytest.raises(UndefinedTransition):
        await publishing.commit(event_of(fact.PackSettled))
    assert await publishing.head() == 0
    assert await publishing.pack(PACK) is None
    assert await publishing.counts() == {}
    assert await publishing.backlog() == 0


async def test_events_are_committed_all_or_none(journal: SqliteJournal) -> None:
    with pytest.raises(UndefinedTransition):
        await journal.commit_all([event_of(fact.BatchOpened), event_of(fact.PackArrived), event_of(fact.SlideStored)])
    assert await types(journal) == []
    assert await journal.batch(BATCH) is None
    assert await journal.counts() == {}


async def test_events_committed_together_follow_each_other(journal: SqliteJournal) -> None:
    recorded = await journal.commit_all([event_of(kind) for kind in UNTIL_STORED])
    assert [record.seq for record in recorded] == [1, 2, 3, 4]
    assert await journal.counts() == {PackState.STORED: 1}


async def test_a_refused_event_does_not_harm_those_beside_it(journal: SqliteJournal) -> None:
    kinds = (fact.PackArrived, fact.SlideStored, fact.PackSettled, fact.PackReleased, fact.SlideAnonymized)
    outcomes = await asyncio.gather(*(journal.commit(event_of(kind)) for kind in kinds), return_exceptions=True)
    assert [isinstance(outcome, UndefinedTransition) for outcome in outcomes] == [False, True, False, True, False]
    assert await types(journal) == ["pack.arrived", "pack.settled", "slide.anonymized"]


async def test_a_command_waits_in_its_lane_until_it_is_carried_out(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.PackArrived), event_of(fact.PackSettled)])
    assert await journal.pending("settle", 0, 10) == []
    (waiting,) = await journal.pending("anonymize", 0, 10)
    assert (waiting.seq, waiting.subject, waiting.command, waiting.attempts) == (2, PACK, order.AnonymizePack(pack=PACK), 0)


async def test_a_command_is_read_with_all_it_needs(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(kind) for kind in UNTIL_STORED[:3]])
    (waiting,) = await journal.pending("store", 0, 10)
    assert waiting.command == order.StoreSlide(pack=PACK, facts=slide_facts(PACK))


async def test_a_lane_is_read_on_from_where_it_was(journal: SqliteJournal) -> None:
    await asyncio.gather(*(journal.commit(event_of(fact.PackArrived, pack_id(number))) for number in (5, 3, 4, 1, 2)))
    first = await journal.pending("settle", 0, 2)
    rest = await journal.pending("settle", first[-1].seq, 10)
    assert [waiting.subject for waiting in (*first, *rest)] == [pack_id(number) for number in (5, 3, 4, 1, 2)]


async def test_a_command_given_again_is_behind_the_cursor(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(kind) for kind in (fact.PackArrived, fact.PackQuarantined, fact.PackRetried)])
    (waiting,) = await journal.pending("settle", 1, 10)
    assert waiting.seq == 3


async def test_failed_attempts_are_counted_and_the_command_keeps_its_place(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(kind) for kind in UNTIL_STORED[:2]])
    await journal.commit(event_of(fact.StepFailed, reason="share-slow"))
    await journal.commit(event_of(fact.StepFailed, reason="worker-crashed", detail="signal 11"))
    (waiting,) = await journal.pending("anonymize", 0, 10)
    row = await journal.pack(PACK)
    assert row is not None
    assert (waiting.seq, waiting.attempts) == (2, 2)
    assert (row.attempts, row.reason, row.detail) == (2, "worker-crashed", "signal 11")


async def test_attempts_and_reason_are_forgotten_when_the_pack_goes_on(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(kind) for kind in (*UNTIL_STORED[:2], fact.StepFailed, fact.SlideAnonymized)])
    row = await journal.pack(PACK)
    assert row is not None
    assert (row.state, row.attempts, row.reason, row.detail) == (PackState.ANONYMIZED, 0, "", "")


async def test_a_stuck_pack_shows_why_and_counts_no_attempt(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.PackArrived), event_of(fact.PackStuck, reason="growing")])
    row = await journal.pack(PACK)
    assert row is not None
    assert (row.state, row.attempts, row.reason) == (PackState.ARRIVED, 0, "growing")


async def test_a_quarantined_pack_shows_why_and_waits_for_nobody(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.PackArrived), event_of(fact.PackQuarantined, reason="two-images", detail="a and b")])
    (row,) = await journal.packs([PackState.QUARANTINED])
    assert (row.reason, row.detail, row.drop, row.batch) == ("two-images", "a and b", "scanner-a", BATCH)
    assert await journal.pending("settle", 0, 10) == []


async def test_packs_of_several_states_are_paged_by_id(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.PackArrived, pack_id(number)) for number in (4, 2, 3, 1)])
    await journal.commit(event_of(fact.PackSettled, pack_id(3)))
    both = (PackState.ARRIVED, PackState.SETTLED)
    assert [row.pack for row in await journal.packs(both, limit=3)] == [pack_id(1), pack_id(2), pack_id(3)]
    assert [row.pack for row in await journal.packs(both, after=pack_id(3))] == [pack_id(4)]
    assert [row.pack for row in await journal.packs([PackState.SETTLED])] == [pack_id(3)]


async def test_a_pack_shows_when_it_arrived_and_when_it_last_moved(tmp_path: Path) -> None:
    clock = ManualClock(1000)
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", clock, outbox=False)
    await journal.commit(event_of(fact.PackArrived))
    clock.seconds = 2000
    await journal.commit(event_of(fact.PackSettled))
    row = await journal.pack(PACK)
    await journal.close()
    assert row is not None
    assert (row.arrived.timestamp(), row.updated.timestamp()) == (1000, 2000)


async def test_events_are_read_by_type(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(kind) for kind in UNTIL_STORED])
    wanted = ["slide.stored", "pack.arrived"]
    assert [record.event.type for record in await journal.events(0, 10, wanted)] == ["pack.arrived", "slide.stored"]
    assert [record.event.type for record in await journal.events(1, 10, wanted)] == ["slide.stored"]
    assert [record.event.type for record in await journal.latest(1, wanted)] == ["slide.stored"]


async def test_the_newest_events_are_read_oldest_first(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(kind) for kind in UNTIL_STORED])
    assert [record.seq for record in await journal.latest(2)] == [3, 4]


async def test_the_last_pack_to_rest_completes_its_closed_batch(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.BatchOpened), *(event_of(kind) for kind in UNTIL_STORED), event_of(fact.BatchClosed)])
    assert [row.state for row in await journal.batches(BatchState)] == [BatchState.CLOSED]
    recorded = await journal.commit(event_of(fact.SlideCatalogued))
    (completed,) = await journal.events(recorded.seq, 10)
    assert completed.event == fact.BatchCompleted(batch=BATCH, packs=1, catalogued=1, duplicates=0, quarantined=0, others=0)
    assert [row.state for row in await journal.batches(BatchState)] == [BatchState.COMPLETED]


async def test_a_completion_that_is_rolled_back_with_its_cause_leaves_nothing(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.BatchOpened), event_of(fact.PackArrived), event_of(fact.BatchClosed)])
    with pytest.raises(UndefinedTransition):
        await journal.commit_all([event_of(fact.PackVanished), event_of(fact.PackArrived)])
    row = await journal.batch(BATCH)
    assert row is not None
    assert (row.state, row.counts, await journal.head()) == (BatchState.CLOSED, {PackState.ARRIVED: 1}, 3)


async def test_a_late_pack_does_not_complete_a_batch_twice(journal: SqliteJournal) -> None:
    await journal.commit_all([event_of(fact.BatchOpened), event_of(fact.BatchClosed)])
    await journal.commit_all([event_of(fact.PackArrived), event_of(fact.PackVanished)])
    assert (await types(journal)).count("batch.completed") == 1


async def test_nothing_is_queued_for_publishing_unless_asked_for(journal: SqliteJournal) -> None:
    await journal.commit(event_of(fact.PackArrived))
    assert await journal.backlog() == 0
    assert await journal.unpublished(10) == []


async def test_every_event_is_queued_for_publishing_and_forgotten_when_it_was(publishing: SqliteJournal) -> None:
    await publishing.commit_all([event_of(fact.BatchOpened), event_of(fact.BatchClosed)])
    waiting = await publishing.unpublished(2)
    assert [record.event.type for record in waiting] == ["batch.opened", "batch.closed"]
    await publishing.published(waiting[-1].seq)
    assert [record.event.type for record in await publishing.unpublished(10)] == ["batch.completed"]
    assert await publishing.backlog() == 1


async def test_an_event_that_was_published_stays_in_the_journal(publishing: SqliteJournal) -> None:
    recorded = await publishing.commit(event_of(fact.PackArrived))
    await publishing.published(recorded.seq)
    assert await publishing.events(0, 10) == [recorded]


async def test_a_caller_that_gives_up_harms_nobody_else(journal: SqliteJournal) -> None:
    impatient = asyncio.ensure_future(journal.commit(event_of(fact.PackArrived, pack_id(1))))
    patient = asyncio.ensure_future(journal.commit(event_of(fact.PackArrived, pack_id(2))))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).event.subject == pack_id(2)
    assert await journal.counts() == {PackState.ARRIVED: 2}


async def test_a_closed_journal_has_committed_what_was_handed_in(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = SqliteJournal.open(path, ManualClock(), outbox=False)
    commits = [asyncio.ensure_future(journal.commit(event_of(fact.PackArrived, pack_id(number)))) for number in range(300)]
    await asyncio.sleep(0)
    await journal.close()
    await asyncio.gather(*commits)
    assert sqlite3.connect(path).execute("SELECT count(*) FROM events").fetchone() == (300,)


async def test_a_closed_journal_takes_nothing_more(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", ManualClock(), outbox=False)
    await journal.close()
    with pytest.raises(Refused, match="journal-closed"):
        await journal.commit(event_of(fact.PackArrived))


class FaultyClock(ManualClock):
    """A fault of ours in the writer's thread, at a moment that the test chooses."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.reached = threading.Event()
        self.may_fail = threading.Event()

    def now(self) -> datetime:
        self.reached.set()
        self.may_fail.wait(10)
        raise RuntimeError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_fault_in_the_writer_answers_everybody_who_waits(tmp_path: Path) -> None:
    clock = FaultyClock()
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", clock, outbox=False)
    first = asyncio.ensure_future(journal.commit(event_of(fact.PackArrived)))
    await asyncio.to_thread(clock.reached.wait, 10)
    behind = [asyncio.ensure_future(journal.commit(event_of(fact.PackArrived, pack_id(number)))) for number in range(2, 5)]
    await asyncio.sleep(0)
    clock.may_fail.set()
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(first, *behind, return_exceptions=True)
    assert [str(outcome)[:13] for outcome in outcomes] == ["journal-fault"] * 4
    with pytest.raises(Refused, match="journal-closed"):
        await journal.commit(event_of(fact.PackArrived))
    await journal.close()


async def test_whoever_commits_while_the_journal_closes_is_answered(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", ManualClock(1000), outbox=False)
    closing = asyncio.ensure_future(journal.close())
    commits = []
    while not closing.done():
        commits.append(asyncio.ensure_future(journal.commit(event_of(fact.PackArrived, pack_id(len(commits) + 1)))))
        await asyncio.sleep(0.0005)
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
    assert all(isinstance(outcome, Recorded) or "journal-closed" in str(outcome) for outcome in outcomes)


async def test_a_question_to_a_damaged_journal_is_refused(journal: SqliteJournal, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    connection.execute("DROP TABLE outbox")
    connection.close()
    with pytest.raises(Refused, match="journal-damaged"):
        await journal.backlog()


async def test_a_question_that_the_disk_refuses_may_be_asked_again(journal: SqliteJournal) -> None:
    with pytest.raises(Unavailable, match="read-only") as trouble:
        await journal._read(journal._reader._connection.execute, "DELETE FROM events")
    assert trouble.value.place == "state"
