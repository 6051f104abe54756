"""Orders about runs are taken where the table allows them, and refused with what to do instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.engine.runs_desk import RunsDesk
from slidekeeper.errors import Refused
from slidekeeper.messages import events as fact
from slidekeeper.model.run import DoneMarker, RunId
from writers.events import RUN, event_of, run_place


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", ManualClock(1000), outbox=False)
    yield journal
    await journal.close()


@pytest.fixture
def desk(journal: SqliteJournal) -> RunsDesk:
    async def finish(folder: Path, project: str, marker: DoneMarker, by: str) -> RunId:
        await journal.commit(fact.RunFinished(run=RUN, place=run_place(project, folder.name), marker=marker, by=by))
        return RUN

    return RunsDesk(journal, journal.commit, finish)


async def test_a_protected_run_can_be_cleaned_by_order(journal: SqliteJournal, desk: RunsDesk) -> None:
    answer = await desk.done("/runs/gleason/a", "gleason", DoneMarker(), "mara")
    assert answer["state"] == "finished"
    with pytest.raises(Refused, match="not-protected"):
        await desk.clean(RUN, "mara")
    await journal.commit(event_of(fact.RunProtected))
    assert (await desk.clean(RUN, "mara"))["state"] == "released"


async def test_a_run_outside_all_roots_is_not_cleaned(journal: SqliteJournal, desk: RunsDesk) -> None:
    place = run_place().model_copy(update={"root": ""})
    await journal.commit(fact.RunFinished(run=RUN, place=place, marker=DoneMarker(), by="mara"))
    await journal.commit(event_of(fact.RunProtected))
    with pytest.raises(Refused, match="not-on-tier"):
        await desk.clean(RUN, "mara")


async def test_what_was_given_up_is_tried_again(journal: SqliteJournal, desk: RunsDesk) -> None:
    await journal.commit_all([event_of(fact.RunFinished), event_of(fact.RunQuarantined)])
    assert (await desk.retry(RUN, "mara"))["state"] == "finished"
    with pytest.raises(Refused, match="not-in-quarantine"):
        await desk.retry(RUN, "mara")


async def test_a_bad_marker_is_not_tried_again_but_written_anew(journal: SqliteJournal, desk: RunsDesk) -> None:
    await journal.commit_all([event_of(fact.RunAppeared), event_of(fact.RunQuarantined, reason="marker-not-json")])
    with pytest.raises(Refused, match="Write the done-marker anew"):
        await desk.retry(RUN, "mara")


async def test_unknown_runs_are_refused(desk: RunsDesk) -> None:
    for order in (desk.clean, desk.retry):
        with pytest.raises(Refused, match="unknown-run"):
            await order("f" * 12, "mara")
