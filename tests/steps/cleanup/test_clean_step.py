"""Real folders are cleaned against a real version: exactly what it holds goes, and nothing else, whoever interferes."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.fakes import ManualClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.runs.cleaning import PosixRunFolder
from slidekeeper.adapters.scripts import SubprocessScripts
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.messages import events as fact
from slidekeeper.messages.commands import CleanRun
from slidekeeper.model.excludes import Excludes
from slidekeeper.model.run import CleaningFacts, DoneMarker, MarkerIdentity, RunId, RunPlace
from slidekeeper.model.version import VersionFacts
from slidekeeper.ports.cleaning import Contents
from slidekeeper.settings.training import CleanupSettings, TrainingSettings
from slidekeeper.steps.cleanup.step import CleanStep, contents_of
from writers.events import RUN
from writers.plain_versions import write_version
from writers.runs import write_marker, write_run

EXCLUDES = Excludes(TrainingSettings().exclude)


class Tier:
    """A training root with one run that was protected, and what cleans it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "runs"
        self.bucket = folder / "bucket"
        self.run = write_run(self.root)
        self.journal = SqliteJournal.open(folder / "journal.sqlite", ManualClock(1000), outbox=False)
        self.place = RunPlace(project="gleason", name="run-1", folder=str(self.run), root=str(self.root))

    async def protect(self) -> VersionFacts:
        """Finish the run and make a version of what is there now."""
        status = write_marker(self.run).stat()
        seen = MarkerIdentity(inode=status.st_ino, mtime_ns=status.st_mtime_ns, size=status.st_size)
        facts = write_version(self.bucket, RUN, self.run)
        await self.journal.commit(fact.RunFinished(run=RUN, place=self.place, marker=DoneMarker(), by="marker", seen=seen))
        await self.journal.commit(fact.RunProtected(run=RUN, facts=facts))
        await self.journal.commit(fact.RunReleased(run=RUN, by="policy", reason="at-once"))
        return facts

    def step(self, *scripts: Path, strangers: str = "leave", script_seconds: float = 10.0) -> CleanStep:
        folder = PosixRunFolder(self.root, "DONE", EXCLUDES, move_strangers=strangers == "move")
        chosen = CleanupSettings(scripts=scripts, script_seconds=script_seconds)
        versions, clock = PosixVersions(self.bucket), ManualClock(0)
        return CleanStep(self.journal, versions, {str(self.root): folder}, SubprocessScripts(), self.journal.commit, clock, chosen)

    async def clean(self, *scripts: Path, **options: Any) -> CleaningFacts:
        return (await self.step(*scripts, **options).run(CleanRun(run=RUN))).facts

    def names(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*") if not path.is_dir() or path.is_symlink()}


@pytest.fixture
async def tier(tmp_path: Path) -> AsyncIterator[Tier]:
    tier = Tier(tmp_path)
    yield tier
    await tier.journal.close()


async def test_what_the_version_holds_is_removed_with_its_folders_and_the_marker(tier: Tier) -> None:
    (tier.run / "latest").symlink_to("model.bin")
    (tier.run / "empty").mkdir()
    facts = await tier.protect()
    cleaned = await tier.clean()
    assert (cleaned.files, cleaned.size, cleaned.left) == (6, facts.size, 0)
    assert not tier.run.exists()
    assert (tier.root / "gleason").is_dir()


async def test_strangers_are_left_where_they_are(tier: Tier) -> None:
    await tier.protect()
    (tier.run / "plots" / "notebook.ipynb").write_text("mine")
    (tier.run / "log.txt").write_text("epoch 1\nepoch 2\n")
    (tier.run / "elsewhere").symlink_to("/etc")
    os.mkfifo(tier.run / "pipe")
    assert (await tier.clean()).left == 4
    assert tier.names() == {f"gleason/run-1/{name}" for name in ("plots/notebook.ipynb", "log.txt", "elsewhere", "pipe")}


async def test_a_file_that_was_touched_since_is_a_stranger(tier: Tier) -> None:
    await tier.protect()
    os.utime(tier.run / "model.bin")
    await tier.clean()
    assert tier.names() == {"gleason/run-1/model.bin"}


async def test_strangers_are_moved_to_a_restricted_folder_where_the_site_wants_that(tier: Tier) -> None:
    await tier.protect()
    stranger = tier.run / "plots" / "new\nline"
    stranger.write_text("mine")
    assert (await tier.clean(strangers="move")).left == 1
    assert not tier.run.exists()
    leftovers = tier.root / ".slidekeeper" / "leftovers" / RUN
    assert (leftovers / "plots" / "new\nline").read_text() == "mine"
    assert {path.stat().st_mode & 0o777 for path in (leftovers, leftovers / "plots", leftovers.parent, leftovers.parent.parent)} == {0o700}


@pytest.mark.parametrize("trap", ["symlink", "open to others"])
async def test_leftovers_go_into_no_folder_that_is_not_ours_alone(tier: Tier, tmp_path: Path, trap: str) -> None:
    await tier.protect()
    (tmp_path / "outside").mkdir()
    if trap == "symlink":
        (tier.root / ".slidekeeper").symlink_to(tmp_path / "outside")
    else:
        (tier.root / ".slidekeeper").mkdir(mode=0o755)
    (tier.run / "mine").write_text("mine")
    with pytest.raises(Permanent, match="leftovers-unsafe"):
        await tier.clean(strangers="move")
    assert (tier.run / "mine").exists() and not list((tmp_path / "outside").iterdir())


async def test_what_is_excluded_from_versions_counts_as_the_runs_own(tier: Tier) -> None:
    await tier.protect()
    for name in ("__pycache__/a.pyc", "__pycache__/deep/b", "plots/c.pyc", ".git/HEAD"):
        (tier.run / name).parent.mkdir(parents=True, exist_ok=True)
        (tier.run / name).write_text("x")
    assert (await tier.clean()).left == 0
    assert not tier.run.exists()


async def test_names_that_are_no_text_are_names_like_others(tier: Tier) -> None:
    (tier.run / os.fsdecode(b"\xff\xfe")).write_text("x")
    (tier.run / "a\nb").mkdir()
    (tier.run / "a\nb" / "c").write_text("x")
    await tier.protect()
    await tier.clean()
    assert not tier.run.exists()


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
async def test_nothing_is_removed_while_the_version_is_damaged(tier: Tier, damage: str) -> None:
    await tier.protect()
    before = tier.names()
    blob = max((path for path in (tier.bucket / "protected" / "blobs").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[70_000] ^= 1
    blob.write_bytes(data if damage == "flipped" else data[:-1])
    if damage == "missing":
        blob.unlink()
    with pytest.raises(Permanent, match="version-damaged"):
        await tier.clean()
    assert tier.names() == before


async def test_nothing_is_removed_when_the_run_has_finished_again(tier: Tier) -> None:
    await tier.protect()
    write_marker(tier.run, {"message": "again"})
    before = tier.names()
    with pytest.raises(Permanent, match="marker-newer"):
        await tier.clean()
    assert tier.names() == before


async def test_nothing_is_removed_when_the_version_is_another_runs(tier: Tier) -> None:
    await tier.protect()
    write_version(tier.bucket, RunId("eeeeeeeeeeee"), tier.run / "plots")
    with pytest.raises(Permanent, match="version-differs"):
        await tier.clean()


async def test_a_folder_outside_all_roots_is_never_cleaned(tier: Tier) -> None:
    tier.place = tier.place.model_copy(update={"root": ""})
    await tier.protect()
    with pytest.raises(Permanent, match="not-on-tier"):
        await tier.clean()


async def test_a_root_that_is_away_is_waited_for(tier: Tier) -> None:
    await tier.protect()
    tier.root.rename(tier.root.with_name("elsewhere"))
    with pytest.raises(Unavailable) as away:
        await tier.clean()
    assert away.value.place == f"training:{tier.root}"


class Killed(BaseException):
    """The end of the process, in the middle of a cleanup."""


@pytest.mark.parametrize("after", range(7))
async def test_a_cleanup_that_was_killed_goes_on(tier: Tier, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    await tier.protect()
    (tier.run / "mine").write_text("mine")
    done = 0
    real = os.unlink

    def unlink(*arguments: Any, **options: Any) -> None:
        nonlocal done
        if done == after:
            raise Killed
        done += 1
        real(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", unlink)
        try:
            await tier.clean()
        except Killed:
            assert (tier.run / "DONE").exists(), "the marker goes last"
    assert (await tier.clean()).left == 1
    assert tier.names() == {"gleason/run-1/mine"}
    assert (await tier.clean()).files == 0


async def test_a_folder_that_is_swapped_for_a_symlink_meanwhile_leads_nowhere(tier: Tier, tmp_path: Path) -> None:
    for number in range(40):
        write_run(tier.run, "many", f"folder-{number}", {"a": b"a", "b": b"b"})
    await tier.protect()
    outside = tmp_path / "outside"
    for number in range(40):
        write_run(outside, ".", f"folder-{number}", {"a": b"a", "b": b"b"})
    stop = threading.Event()

    def swap() -> None:
        """Whatever there is becomes, again and again, a way out with the same names and the same times."""
        many, aside = tier.run / "many", tier.run / "aside"
        while not stop.is_set():
            try:
                many.rename(aside)
                many.symlink_to(outside)
                time.sleep(0.0005)
                many.unlink()
                aside.rename(many)
            except OSError:
                time.sleep(0.0005)

    for path in (tier.run / "many").rglob("*"):
        twin = outside / path.relative_to(tier.run / "many")
        os.utime(twin, ns=(path.stat().st_mtime_ns,) * 2)
    attacker = threading.Thread(target=swap)
    attacker.start()
    try:
        for _ in range(5):
            for _ in PosixRunFolder(tier.root, "DONE", EXCLUDES).clean(tier.place, RUN, await _contents(tier)):
                pass
    finally:
        stop.set()
        attacker.join()
    assert len([path for path in outside.rglob("*") if path.is_file()]) == 80


async def _contents(tier: Tier) -> Contents:
    row = await tier.journal.run(RUN)
    assert row is not None
    versions = PosixVersions(tier.bucket)
    return contents_of(versions, versions.document("gleason", 1), row)


names = st.sampled_from(["a", "b", "c.pyc", "__pycache__", "DONE", "d e", "\xfc"])
trees = st.recursive(st.binary(max_size=3) | st.just("->/etc"), lambda inner: st.dictionaries(names, inner, max_size=4), max_leaves=10)
folders = st.dictionaries(names, trees, max_size=5)


def lay_down(folder: Path, tree: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in tree.items():
        if isinstance(value, dict):
            lay_down(folder / name, value)
        elif isinstance(value, str):
            (folder / name).symlink_to(value[2:])
        else:
            (folder / name).write_bytes(value)


def everything(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield str(path.relative_to(folder))


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(held=folders, new=folders)
def test_for_any_two_trees_exactly_what_is_told_to_be_the_runs_own_goes(tmp_path_factory: Any, held: Any, new: Any) -> None:
    base = tmp_path_factory.mktemp("trees")
    run = base / "runs" / "gleason" / "run-1"
    lay_down(run, held)
    facts = write_version(base / "bucket", RUN, run)
    with suppress(OSError):  # a file where the other tree has a folder
        lay_down(run, new)
    versions = PosixVersions(base / "bucket")
    root = versions.document("gleason", facts.version).tree
    [artifacts] = [listed.entry.tree for listed in versions.children(root)]  # type: ignore[union-attr]
    contents = Contents(artifacts, versions.children, None)
    place = RunPlace(project="gleason", name="run-1", folder=str(run), root=str(base / "runs"))
    cleaner = PosixRunFolder(base / "runs", "DONE", EXCLUDES)
    before = set(everything(run))
    told = list(cleaner.examine(place, contents))
    assert {os.fsdecode(found.path) for found in told} == before, "examining tells everything and changes nothing"
    assert list(cleaner.clean(place, RUN, contents)) == told
    left = {os.fsdecode(found.path) for found in told if not found.own}
    assert (set(everything(run)) if run.exists() else set()) == left
    assert not [found for found in cleaner.examine(place, contents) if found.own]


def test_a_tree_deeper_than_anybody_needs_is_left_alone(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "gleason" / "run-1"
    run.mkdir(parents=True)
    descriptor = os.open(run, os.O_RDONLY)
    for _ in range(300):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
    place = RunPlace(project="gleason", name="run-1", folder=str(run), root=str(tmp_path / "runs"))
    [found] = PosixRunFolder(tmp_path / "runs", "DONE", EXCLUDES).clean(place, RUN, Contents("", lambda _: iter(()), None))
    assert (found.own, found.why) == (False, "too-deep")


def script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def script_events(tier: Tier) -> list[fact.ScriptFinished]:
    found = await tier.journal.events(0, 100, ["script.finished"])
    return [recorded.event for recorded in found if isinstance(recorded.event, fact.ScriptFinished)]


async def test_site_scripts_get_the_facts_and_next_to_no_environment(tier: Tier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIDEKEEPER_KEY", "secret")
    await tier.protect()
    assert (await tier.clean(script(tmp_path, "facts", f"cat > {tmp_path}/said; pwd; env"))).scripts == 1
    said = json.loads((tmp_path / "said").read_text())
    assert (said["run"], said["version"], said["files"], said["folder"]) == (RUN, 1, 5, str(tier.run))
    [event] = await script_events(tier)
    assert (event.script, event.code, event.output.splitlines()[0], "secret" in event.output) == ("facts", 0, "/", False)


async def test_a_script_that_fails_holds_the_cleanup_and_stops_those_behind_it(tier: Tier, tmp_path: Path) -> None:
    await tier.protect()
    scripts = [script(tmp_path, "bad", "yes | head -c 50000; exit 3"), script(tmp_path, "good", "exit 0")]
    with pytest.raises(Permanent, match=r"script-failed: a site script ended with 3: bad"):
        await tier.clean(*scripts)
    [event] = await script_events(tier)
    assert (event.code, len(event.output)) == (3, 10_000)
    script(tmp_path, "bad", "exit 0")
    assert (await tier.clean(*scripts)).scripts == 2


async def test_a_script_that_takes_too_long_is_killed_with_all_it_started(tier: Tier, tmp_path: Path) -> None:
    await tier.protect()
    slow = script(tmp_path, "slow", f"(sleep 1; touch {tmp_path}/late) & sleep 60")
    with pytest.raises(Permanent, match="took too long"):
        await tier.clean(slow, script_seconds=0.3)
    [event] = await script_events(tier)
    assert (event.timed_out, event.code) == (True, -9)
    time.sleep(1.2)
    assert not (tmp_path / "late").exists()


async def test_a_script_that_is_not_there_fails_as_well(tier: Tier, tmp_path: Path) -> None:
    await tier.protect()
    with pytest.raises(Permanent, match="script-failed"):
        await tier.clean(tmp_path / "nowhere")
    [event] = await script_events(tier)
    assert event.code == 127
