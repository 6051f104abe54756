"""A finished run becomes one version, with its code and where both came from; tried again, it stays one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.provenance.posix import PosixProvenance
from slidekeeper.adapters.snapshots.posix import PosixSnapshots
from slidekeeper.errors import Permanent
from slidekeeper.messages.commands import ProtectRun
from slidekeeper.messages.events import RunAppeared, RunFinished, RunProtected
from slidekeeper.model.run import DoneMarker, RunId, RunPlace
from slidekeeper.model.tree import FileEntry
from slidekeeper.model.version import VersionFacts
from slidekeeper.steps.snapshot.step import ProtectStep

RUN = RunId("0123456789ab")
ORDER = ProtectRun(run=RUN)


@dataclass
class Training:
    """A training root with one run, a store and a journal."""

    folder: Path
    journal: SqliteJournal
    snapshots: PosixSnapshots
    step: ProtectStep

    @property
    def run(self) -> Path:
        return self.folder / "runs" / "gleason" / "night-1"

    async def finish(self, **marker: Any) -> None:
        """The run says that it is done."""
        place = RunPlace(project="gleason", name="night-1", folder=str(self.run), root=str(self.folder / "runs"))
        if await self.journal.run(RUN) is None:
            await self.journal.commit(RunAppeared(run=RUN, place=place))
        await self.journal.commit(RunFinished(run=RUN, place=place, marker=DoneMarker(**marker), by="marker"))

    async def protect(self) -> VersionFacts:
        """Run the step."""
        return (await self.step.run(ORDER)).facts

    def read(self, facts: VersionFacts, path: str) -> bytes:
        """A file of a version."""
        listed = next(each for each in self.snapshots.walk(facts.tree) if each.path == path.encode())
        assert isinstance(listed.entry, FileEntry)
        with self.snapshots.open(listed.entry, listed.pack) as content:
            return os.pread(content.descriptor, content.size, content.offset)

    def provenance(self, facts: VersionFacts) -> dict[str, Any]:
        """What a version says of its origin."""
        return json.loads(self.read(facts, "provenance.json"))  # type: ignore[no-any-return]


@pytest.fixture
async def training(tmp_path: Path) -> AsyncIterator[Training]:
    for name in ("bucket", "flash/cohort", "code/net", "runs/gleason/night-1/src"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "flash/cohort/manifest.json").write_text('{"files": [{"number": "123456789012", "digest": "blake3:00"}]}')
    (tmp_path / "code/net/net.py").write_text("layers = 3\n")
    (tmp_path / "code/net/requirements.txt").write_text("torch==9\n")
    run = tmp_path / "runs/gleason/night-1"
    (run / "model.bin").write_bytes(os.urandom(100_000))
    (run / "src/train.py").write_text("import net\n")
    (run / "DONE").touch()
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", SystemClock(), outbox=False)
    snapshots = PosixSnapshots(tmp_path / "bucket", tmp_path / "cache.sqlite", immutable=False)
    step = ProtectStep(journal, snapshots, PosixProvenance([tmp_path / "flash"]), SystemClock(), [str(tmp_path / "code")], ["*.pyc"])
    yield Training(tmp_path, journal, snapshots, step)
    await journal.close()


async def test_a_version_holds_artifacts_code_and_where_they_came_from(training: Training) -> None:
    await training.finish(code=["src", str(training.folder / "code/net")], staging="cohort", parameters={"rate": 0.1}, message="good")
    facts = await training.protect()
    assert (facts.project, facts.version, facts.missing) == ("gleason", 1, 0)
    assert training.read(facts, "artifacts/model.bin") == (training.run / "model.bin").read_bytes()
    assert training.read(facts, "code/src/train.py") == b"import net\n"
    assert training.read(facts, "code/net/net.py") == b"layers = 3\n"
    told = training.provenance(facts)
    assert told["staging"]["manifest"]["files"][0]["number"] == "123456789012"
    assert (told["parameters"], told["message"], told["run"]) == ({"rate": 0.1}, "good", "night-1")
    assert list(told["environment"]) == ["code/net/requirements.txt"]
    assert told["user"]
    document = training.snapshots.document("gleason", 1)
    assert (document.run.run, document.by, document.message) == (RUN, "marker", "good")


async def test_a_step_that_died_before_it_could_tell_makes_no_second_version(training: Training) -> None:
    await training.finish()
    first, again = await training.protect(), await training.protect()
    assert (again.version, again.tree, again.size) == (1, first.tree, first.size)
    assert training.snapshots.numbers("gleason") == [1]


async def test_a_run_that_finishes_again_becomes_another_version(training: Training) -> None:
    await training.finish()
    await training.journal.commit(RunProtected(run=RUN, facts=await training.protect()))
    (training.run / "model.bin").write_bytes(b"retrained")
    await training.finish(status="failed")
    facts = await training.protect()
    assert (facts.version, facts.status) == (2, "failed")
    assert training.read(facts, "artifacts/model.bin") == b"retrained"


async def test_a_version_that_was_damaged_before_it_was_told_is_made_anew(training: Training) -> None:
    await training.finish()
    first = await training.protect()
    blob = next((training.folder / "bucket/protected/blobs").rglob("*/*"))
    blob.unlink()
    assert (await training.protect()).version == first.version + 1


@pytest.mark.parametrize("folder", ["/etc", "../night-2", "link", "src/../../.."])
async def test_code_outside_the_allowed_folders_is_refused(training: Training, folder: str) -> None:
    (training.run / "link").symlink_to("/etc")
    await training.finish(code=[folder])
    with pytest.raises(Permanent, match="code-outside") as refused:
        await training.protect()
    assert folder not in str(refused.value)
    assert training.snapshots.projects() == []


async def test_a_run_or_code_that_is_gone_says_so(training: Training) -> None:
    await training.finish(code=["nowhere"])
    with pytest.raises(Permanent, match="run-vanished"):
        await training.protect()


def git(folder: Path, *command: str) -> None:
    """Call git as the person who trains."""
    settings = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *settings, *command], cwd=folder, check=True, capture_output=True)


async def test_code_in_a_git_tree_tells_its_commit_and_what_differs(training: Training) -> None:
    code = training.folder / "code"
    git(code, "init")
    git(code, "add", ".")
    git(code, "commit", "-m", "first")
    (code / "net/net.py").write_text("layers = 4\n")
    (code / "net/new.py").write_text("")
    await training.finish(code=[str(code / "net")])
    state = training.provenance(await training.protect())["code"]["code/net"]
    assert (len(state["commit"]), state["branch"], state["untracked"], state["trouble"]) == (40, "main", ["net/new.py"], "")
    assert "+layers = 4" in state["dirty"]


async def test_a_hostile_repository_runs_nothing_and_shows_no_other_folder(training: Training) -> None:
    code, trap, secret = training.folder / "code", training.folder / "trap", training.folder / "secret"
    trap.write_text(f"#!/bin/sh\ntouch {training.folder}/sprung\ncat\n")
    trap.chmod(trap.stat().st_mode | stat.S_IXUSR)
    secret.mkdir()
    (secret / "net").mkdir()
    (secret / "net/net.py").write_text("MIRABELLA-ZZYZX\n")
    git(code, "init")
    git(code, "add", ".")
    git(code, "commit", "-m", "first")
    (code / "net/net.py").write_text("layers = 4\n")
    (code / ".git/info/attributes").write_text("*.py diff=trap\n")
    for key in ("core.fsmonitor", "core.pager", "diff.external", "diff.trap.command", "diff.trap.textconv", "core.sshCommand"):
        git(code, "config", key, str(trap))
    git(code, "config", "core.worktree", str(secret))
    (training.folder / "sprung").unlink(missing_ok=True)
    await training.finish(code=[str(code / "net")])
    state = training.provenance(await training.protect())["code"]["code/net"]
    assert "+layers = 4" in state["dirty"]
    assert "MIRABELLA" not in json.dumps(state)
    git_filter = '[filter "trap"]\n\tclean = ' + str(trap) + "\n"
    (code / ".git/config").write_text((code / ".git/config").read_text() + git_filter)
    (code / ".git/info/attributes").write_text("*.py filter=trap\n")
    assert PosixProvenance([]).code(str(code / "net")).trouble == "git-filters"
    assert not (training.folder / "sprung").exists()


async def test_code_without_git_says_so(training: Training) -> None:
    await training.finish(code=["src"])
    assert training.provenance(await training.protect())["code"]["code/src"]["trouble"] == "no-git"
    (training.run / "src/.git").write_text("gitdir: /elsewhere\n")
    assert PosixProvenance([]).code(str(training.run / "src")).trouble == "git-elsewhere"
