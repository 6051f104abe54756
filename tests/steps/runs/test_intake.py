"""Real folders become runs, and quiet markers finish them, once each, whatever comes in between."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.runs.roots import PosixTrainingRoot
from slidekeeper.errors import Unavailable
from slidekeeper.messages import events as fact
from slidekeeper.model.run import CleaningFacts
from slidekeeper.ports.journal import RunRow
from slidekeeper.settings.training import TrainingSettings
from slidekeeper.steps.runs.intake import RootWatcher, RunsIntake
from slidekeeper.workflow.states import RunState
from writers.events import version_facts
from writers.runs import write_marker, write_run


class Site:
    """One training root, its watcher and the journal; ``later`` lets time pass and looks again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "runs"
        self.root.mkdir()
        self.clock = ManualClock(1000)
        self.journal = SqliteJournal.open(folder / "journal.sqlite", self.clock, outbox=False)
        self.watcher = self.new_watcher()

    def new_watcher(self) -> RootWatcher:
        """A watcher as after a restart."""
        settings = TrainingSettings(settle_seconds=2.0, scan_seconds=30.0)
        return RootWatcher(PosixTrainingRoot(self.root, "DONE"), self.journal, self.journal.commit, self.ignore, self.clock, settings)

    async def ignore(self, away: Unavailable) -> None:
        raise AssertionError(away)

    async def later(self, seconds: float = 3.0, looks: int = 2) -> None:
        for _ in range(looks):
            await self.watcher.look()
            self.clock.seconds += seconds

    async def types(self) -> list[str]:
        return [recorded.event.type for recorded in await self.journal.events(0, 100)]

    async def run(self, folder: Path) -> RunRow:
        row = await self.journal.run_in(str(folder))
        assert row is not None
        return row

    async def protect(self, folder: Path) -> None:
        await self.journal.commit(fact.RunProtected(run=(await self.run(folder)).run, facts=version_facts()))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    await site.journal.close()


async def test_a_new_folder_is_a_run_that_is_being_trained(site: Site) -> None:
    folder = write_run(site.root)
    await site.later(looks=5)
    row = await site.run(folder)
    assert (row.state, row.place.project, row.place.name, row.place.root) == (RunState.RUNNING, "gleason", "run-1", str(site.root))
    assert await site.types() == ["run.appeared"]


async def test_a_quiet_marker_finishes_the_run_with_what_it_says(site: Site) -> None:
    folder = write_run(site.root)
    write_marker(folder, {"status": "failed", "staging": "high"})
    await site.later(0.5)
    assert (await site.run(folder)).state is RunState.RUNNING, "it has not been quiet for long enough"
    await site.later()
    row = await site.run(folder)
    assert row.marker is not None
    assert (row.state, row.marker.status, row.marker.staging) == (RunState.FINISHED, "failed", "high")
    assert await site.types() == ["run.appeared", "run.finished"]


async def test_a_marker_that_is_still_being_written_is_waited_for(site: Site) -> None:
    folder = write_run(site.root)
    for length in range(5):
        write_marker(folder, b'{"status": "failed"}'[: 4 * length])
        await site.later(1.5, looks=1)
    assert await site.types() == ["run.appeared"]


@pytest.mark.parametrize("state", ["running", "protected"])
async def test_a_bad_marker_holds_the_run_until_it_changes(site: Site, state: str) -> None:
    folder = write_run(site.root)
    if state == "protected":
        write_marker(folder)
        await site.later()
        await site.protect(folder)
    write_marker(folder, b"all done")
    await site.later(31, looks=4)
    row = await site.run(folder)
    assert (row.state, row.reason) == (RunState.QUARANTINED, "marker-not-json")
    assert (await site.types()).count("run.quarantined") == 1
    write_marker(folder, b"[]")
    await site.later(31, looks=3)
    assert (await site.run(folder)).reason == "marker-wrong"
    write_marker(folder, {"message": "mended"})
    await site.later(31, looks=3)
    assert (await site.run(folder)).state is RunState.FINISHED


@pytest.mark.parametrize(
    ("make", "reason", "detail"),
    [
        (lambda marker: marker.symlink_to("/etc/passwd"), "marker-special", "symlink"),
        (os.mkfifo, "marker-special", "fifo"),
        (lambda marker: marker.mkdir(), "marker-special", "folder"),
        (lambda marker: marker.write_bytes(b" " * (1 << 20) + b"{}"), "marker-too-large", "1048576"),
    ],
)
async def test_what_is_no_sound_file_is_no_marker(site: Site, make: Any, reason: str, detail: str) -> None:
    folder = write_run(site.root)
    make(folder / "DONE")
    await site.later()
    row = await site.run(folder)
    assert (row.state, row.reason) == (RunState.QUARANTINED, reason)
    assert detail in row.detail


async def test_a_marker_that_was_taken_up_is_not_taken_up_again_after_a_restart(site: Site) -> None:
    folder = write_run(site.root)
    write_marker(folder)
    await site.later()
    await site.protect(folder)
    site.watcher = site.new_watcher()
    await site.later(31, looks=4)
    assert await site.types() == ["run.appeared", "run.finished", "run.protected"]


async def test_a_marker_written_anew_makes_a_new_version(site: Site) -> None:
    folder = write_run(site.root)
    write_marker(folder)
    await site.later()
    marker = write_marker(folder, {"message": "two more epochs"})
    os.utime(marker, ns=(1, 1))
    await site.later(31, looks=3)
    assert (await site.types()).count("run.finished") == 1, "the first version is still being made"
    await site.protect(folder)
    await site.later(31, looks=3)
    row = await site.run(folder)
    assert row.marker is not None
    assert (row.state, row.marker.message) == (RunState.FINISHED, "two more epochs")


async def test_a_folder_that_comes_anew_after_its_cleanup_is_another_run(site: Site) -> None:
    folder = write_run(site.root, files={})
    folder.mkdir(parents=True)
    write_marker(folder)
    await site.later()
    await site.protect(folder)
    first = (await site.run(folder)).run
    await site.journal.commit(fact.RunReleased(run=first, by="policy", reason="at-once"))
    (folder / "DONE").unlink()
    await site.journal.commit(fact.RunCleaned(run=first, facts=CLEANED))
    await site.later(31, looks=2)
    assert (await site.run(folder)).state is RunState.CLEANED, "what was left behind is no new run"
    folder.rmdir()
    await site.later(31, looks=2)
    folder.mkdir()
    await site.later(31, looks=2)
    second = await site.run(folder)
    assert (second.state, second.run != first) == (RunState.RUNNING, True)


async def test_names_that_do_not_fit_are_counted_and_nothing_else(site: Site) -> None:
    for name in (b"white space", b"\xff\xfe", b".hidden", b"lost+found", b".slidekeeper"):
        (site.root / os.fsdecode(name) / "run-1").mkdir(parents=True)
    for name in (b"ok", b"\xc3", b".ipynb_checkpoints"):
        (site.root / "gleason" / os.fsdecode(name)).mkdir(parents=True, exist_ok=True)
    (site.root / "gleason" / "linked").symlink_to("/etc")
    (site.root / "notes.txt").touch()
    (site.root / "other").symlink_to(site.root / "gleason")
    await site.later()
    assert site.watcher.status()["misfits"] == {"project-name": 3, "run-name": 2, "no-folder": 3}
    assert await site.types() == ["run.appeared"]


async def test_a_run_may_be_called_whatever_is_text(site: Site) -> None:
    folder = write_run(site.root, name="übung\n2")
    write_marker(folder)
    await site.later()
    assert (await site.run(folder)).state is RunState.FINISHED


async def test_a_root_that_is_away_is_told_as_such_and_its_runs_stay_what_they_are(site: Site) -> None:
    folder = write_run(site.root)
    await site.later()
    site.root.rename(site.folder / "elsewhere")
    with pytest.raises(Unavailable) as away:
        await site.watcher.look()
    assert (away.value.place, away.value.reason) == (f"training:{site.root}", "unreachable")
    site.root.mkdir()  # what an unmounted share looks like
    await site.later(31)
    site.root.rmdir()
    (site.folder / "elsewhere").rename(site.root)
    await site.later(31)
    assert await site.types() == ["run.appeared"]
    assert (await site.run(folder)).state is RunState.RUNNING


async def test_a_root_that_must_be_mounted_and_is_not_is_away(site: Site) -> None:
    with pytest.raises(Unavailable, match="not-mounted"):
        PosixTrainingRoot(site.root, "DONE", mount=True).look()


async def test_a_folder_that_is_missing_suspends_its_root_and_no_other(site: Site) -> None:
    write_marker(write_run(site.root))
    suspended: list[Unavailable] = []
    settings = TrainingSettings(settle_seconds=0.01, scan_seconds=0.01)

    async def suspend(away: Unavailable) -> None:
        suspended.append(away)

    async def report(event: fact.Event) -> None:
        await site.journal.commit(event)
        if isinstance(event, fact.RunFinished):
            raise StopIteration

    roots = [PosixTrainingRoot(site.folder / "nowhere", "DONE"), PosixTrainingRoot(site.root, "DONE")]
    clock = TickingClock()
    intake = RunsIntake(roots, site.journal, report, suspend, clock, settings)
    with pytest.raises(ExceptionGroup):
        await intake.run()
    assert {away.place for away in suspended} == {f"training:{site.folder / 'nowhere'}"}
    assert [root["away"] for root in intake.status()] == ["unreachable", ""]


async def test_the_same_project_in_two_roots_is_one_time_series_of_two_runs(site: Site) -> None:
    other = site.folder / "more-runs"
    folders = [write_run(site.root), write_run(other)]
    site.watcher = site.new_watcher()
    await site.later()
    settings = TrainingSettings()
    await RootWatcher(PosixTrainingRoot(other, "DONE"), site.journal, site.journal.commit, site.ignore, site.clock, settings).look()
    rows = [await site.run(folder) for folder in folders]
    assert [row.place.project for row in rows] == ["gleason", "gleason"]
    assert rows[0].run != rows[1].run


async def test_between_scans_only_what_is_new_or_awaited_is_looked_at(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    done = write_run(site.root, name="done")
    write_marker(done)
    await site.later()
    await site.protect(done)
    await site.later(31, looks=1)
    asked: list[str] = []
    real = PosixTrainingRoot.markers

    def markers(self: PosixTrainingRoot, places: Any) -> Any:
        asked.extend(place.name for place in places)
        return real(self, places)

    monkeypatch.setattr(PosixTrainingRoot, "markers", markers)
    await site.later(1, looks=1)
    asked.clear()
    write_run(site.root, name="new")
    await site.later(1, looks=3)
    assert asked == ["new", "new", "new"]


class TickingClock(ManualClock):
    """Every question takes a second."""

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds


CLEANED = CleaningFacts(files=1, size=0, left=0, scripts=0, seconds=0.1)
