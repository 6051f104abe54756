"""A folder can be protected by hand, wherever it is, unless it is none of the caller's business."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Refused
from slidekeeper.messages import events as fact
from slidekeeper.model.run import DoneMarker
from slidekeeper.steps.runs.by_hand import ByHand
from slidekeeper.workflow.states import RunState
from writers.runs import write_run


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqliteJournal]:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", ManualClock(1000), outbox=False)
    yield journal
    await journal.close()


@pytest.fixture
def by_hand(tmp_path: Path, journal: SqliteJournal) -> ByHand:
    (tmp_path / "identified").mkdir()
    return ByHand(journal, journal.commit, [tmp_path / "runs"], {"site.state": tmp_path / "identified"})


async def test_a_folder_in_a_root_is_the_run_that_the_watcher_knows(tmp_path: Path, journal: SqliteJournal, by_hand: ByHand) -> None:
    folder = write_run(tmp_path / "runs")
    (tmp_path / "way").symlink_to(tmp_path / "runs" / "gleason")
    run = await by_hand.finish(tmp_path / "way" / "run-1", "", DoneMarker(message="by hand"), "mara")
    row = await journal.run_in(str(folder))
    assert row is not None and row.marker is not None
    assert (row.run, row.state, row.place.root, row.marker.message) == (run, RunState.FINISHED, str(tmp_path / "runs"), "by hand")
    await journal.commit(fact.RunQuarantined(run=run, step="protect", reason="x"))
    assert await by_hand.finish(folder, "gleason", DoneMarker(), "mara") == run


async def test_a_folder_elsewhere_lies_in_no_root_and_needs_a_project(tmp_path: Path, journal: SqliteJournal, by_hand: ByHand) -> None:
    folder = write_run(tmp_path / "home")
    with pytest.raises(Refused, match="wrong-project"):
        await by_hand.finish(folder, "", DoneMarker(), "mara")
    run = await by_hand.finish(folder, "stain", DoneMarker(), "mara")
    row = await journal.run(run)
    assert row is not None
    assert (row.place.project, row.place.name, row.place.root) == ("stain", "run-1", "")
    assert await by_hand.finish(folder, "other", DoneMarker(), "mara") != run, "another project is another time series"


@pytest.mark.parametrize("path", ["identified", "identified/deep", ".", "nowhere", "file"])
async def test_what_is_identified_secret_or_no_folder_is_refused(tmp_path: Path, by_hand: ByHand, path: str) -> None:
    (tmp_path / "identified" / "deep").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / path)
    for folder in (tmp_path / path, tmp_path / "link"):
        with pytest.raises(Refused, match=r"closed-folder|wrong-folder"):
            await by_hand.finish(folder, "gleason", DoneMarker(), "mara")


async def test_a_relative_folder_is_refused(by_hand: ByHand) -> None:
    with pytest.raises(Refused, match="wrong-folder"):
        await by_hand.finish(Path(), "gleason", DoneMarker(), "mara")


async def test_another_project_than_the_roots_is_refused(tmp_path: Path, by_hand: ByHand) -> None:
    with pytest.raises(Refused, match="wrong-project"):
        await by_hand.finish(write_run(tmp_path / "runs"), "stain", DoneMarker(), "mara")


async def test_a_run_that_is_being_protected_is_not_protected_twice(tmp_path: Path, by_hand: ByHand) -> None:
    folder = write_run(tmp_path / "runs")
    await by_hand.finish(folder, "", DoneMarker(), "mara")
    with pytest.raises(Refused, match="run-busy"):
        await by_hand.finish(folder, "", DoneMarker(), "mara")
