"""Whatever happens in whatever order, the journal's rows and counts are those that the workflow's table gives."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import UndefinedTransition
from slidekeeper.messages import events as fact
from slidekeeper.messages.commands import Command
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.workflow.batches import completion
from slidekeeper.workflow.states import BatchState, PackState
from slidekeeper.workflow.table import PACK_TABLE, decide, decide_batch
from writers.events import BATCH_EVENTS, PACK_EVENTS, event_of, pack_id

PACKS = [pack_id(number) for number in range(1, 5)]
BATCHES = [BatchId("b00000000001"), BatchId("b00000000002")]
LANES = ("settle", "anonymize", "store", "catalog", "release")
WITH_REASON = (fact.PackQuarantined, fact.StepFailed, fact.PackStuck)


@dataclass
class ModelPack:
    """What the journal should know of one pack."""

    batch: BatchId
    state: PackState = PackState.NEW
    command: Command | None = None
    ordered: int = 0
    attempts: int = 0
    reason: str = ""


@dataclass
class Model:
    """The journal as plain dictionaries; it counts afresh each time."""

    packs: dict[PackId, ModelPack] = field(default_factory=dict)
    batches: dict[BatchId, BatchState] = field(default_factory=dict)
    events: list[fact.Event] = field(default_factory=list)

    def take(self, event: fact.Event) -> bool:
        """Apply the event and what follows from it; False where the table refuses it."""
        try:
            if isinstance(event, fact.PackEvent):
                self._take_of_pack(event)  # type: ignore[arg-type]
            elif isinstance(event, fact.BatchEvent):
                self._take_of_batch(event)  # type: ignore[arg-type]
            else:
                self.events.append(event)
        except UndefinedTransition:
            return False
        return True

    def _take_of_pack(self, event: fact.AnyPackEvent) -> None:
        pack = self.packs.get(event.pack) or ModelPack(getattr(event, "batch", BATCHES[0]))
        decision = decide(pack.state, event)
        self.events.append(event)
        self.packs[event.pack] = pack
        pack.reason = event.reason if isinstance(event, WITH_REASON) else ""
        pack.attempts = pack.attempts + isinstance(event, fact.StepFailed) if decision.repeats else 0
        if not decision.repeats:
            pack.command, pack.ordered = decision.command, len(self.events)
        moved, pack.state = decision.state is not pack.state, decision.state
        if moved:
            self._complete(pack.batch)

    def _take_of_batch(self, event: fact.AnyBatchEvent) -> None:
        self.batches[event.batch] = decide_batch(self.batches.get(event.batch, BatchState.NEW), event)
        self.events.append(event)
        self._complete(event.batch)

    def _complete(self, batch: BatchId) -> None:
        completed = completion(batch, self.batches.get(batch, BatchState.NEW), self.counts(batch))
        if completed:
            self._take_of_batch(completed)

    def counts(self, *batches: BatchId) -> Counter[PackState]:
        return Counter(pack.state for pack in self.packs.values() if not batches or pack.batch in batches)

    def pending(self, lane: str) -> list[tuple[int, Command, int]]:
        waiting = [
            (pack.ordered, pack.command, pack.attempts) for pack in self.packs.values() if pack.command and pack.command.type == lane
        ]
        return sorted(waiting, key=lambda row: row[0])


@st.composite
def histories(draw: st.DrawFn) -> list[list[fact.Event]]:
    """Groups of events that are committed at once; most are such that packs get somewhere."""
    model = Model()
    groups = []
    for size in draw(st.lists(st.integers(1, 10), min_size=1, max_size=8)):
        group = []
        for _ in range(size):
            group.append(draw_event(draw, model))
            model.take(group[-1])
        groups.append(group)
    return groups


def draw_event(draw: st.DrawFn, model: Model) -> fact.Event:
    batch = draw(st.sampled_from(BATCHES))
    if draw(st.integers(0, 6)) == 0:
        return event_of(draw(st.sampled_from([*BATCH_EVENTS, fact.PlaceResumed])), batch=batch)
    pack = draw(st.sampled_from(PACKS))
    state = model.packs[pack].state if pack in model.packs else PackState.NEW
    expected = [kind for before, kind in PACK_TABLE if before is state]
    stray = not expected or draw(st.integers(0, 5)) == 0
    return event_of(draw(st.sampled_from(PACK_EVENTS if stray else expected)), pack, batch=batch)


async def check(journal: SqliteJournal, model: Model) -> None:
    recorded = await journal.events(0, 1000)
    assert [(record.seq, record.event) for record in recorded] == list(enumerate(model.events, 1))
    assert await journal.unpublished(1000) == recorded
    assert await journal.counts() == model.counts()
    for pack in PACKS:
        row, expected = await journal.pack(pack), model.packs.get(pack)
        found = row and (row.state, row.batch, row.attempts, row.reason)
        assert found == (expected and (expected.state, expected.batch, expected.attempts, expected.reason))
    for lane in LANES:
        assert [(row.seq, row.command, row.attempts) for row in await journal.pending(lane, 0, 100)] == model.pending(lane)
    rows = {row.batch: (row.state, row.counts) for row in await journal.batches(BatchState)}
    assert rows == {batch: (state, model.counts(batch)) for batch, state in model.batches.items()}


async def replay(groups: list[list[fact.Event]], path: Path, *, together: bool) -> None:
    journal, model = SqliteJournal.open(path, ManualClock(), outbox=True), Model()
    try:
        for group in groups:
            for events in [group] if together else [[event] for event in group]:
                outcomes = await asyncio.gather(*map(journal.commit, events), return_exceptions=True)
                refused = [isinstance(outcome, UndefinedTransition) for outcome in outcomes]
                assert refused == [not model.take(event) for event in events]
                await check(journal, model)
    finally:
        await journal.close()


@given(histories(), st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_journal_agrees_with_the_table_after_every_commit(groups: list[list[fact.Event]], together: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(replay(groups, Path(folder, "journal.sqlite"), together=together))


@given(histories())
@settings(max_examples=20, deadline=None)
def test_tallies_equal_a_recount(groups: list[list[fact.Event]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.sqlite")
        asyncio.run(commit_everything(groups, path))
        connection = sqlite3.connect(path)
        recount = "SELECT batch, state, count(*) FROM packs GROUP BY 1, 2 UNION ALL SELECT '', state, count(*) FROM packs GROUP BY 2"
        tallies = connection.execute("SELECT batch, state, packs FROM tallies WHERE packs != 0").fetchall()
        assert sorted(tallies) == sorted(connection.execute(recount).fetchall())
        connection.close()


async def commit_everything(groups: list[list[fact.Event]], path: Path) -> None:
    journal = SqliteJournal.open(path, ManualClock(), outbox=False)
    for group in groups:
        await asyncio.gather(*map(journal.commit, group), return_exceptions=True)
    await journal.close()
