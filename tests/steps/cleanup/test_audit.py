"""An audit lists exactly what belongs to nobody, on real folders."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slidekeeper.adapters.runs.inventory import PosixInventory
from slidekeeper.errors import Unavailable
from slidekeeper.model.run import RunId
from slidekeeper.model.staging import Cohort, StagingId
from slidekeeper.ports.journal import RunRow, StagingRow
from slidekeeper.steps.cleanup.audit import Stray, audit_root, audit_tier
from slidekeeper.workflow.states import RunState, StagingState
from writers.events import run_place
from writers.runs import write_run

NOW = datetime(2026, 11, 24, tzinfo=UTC)
COHORT = Cohort(sql="", slides=1, size=1, digest="", catalog=1)
STAGING = StagingRow(StagingId("c" * 12), StagingState.READY, "high", "flash", "me", COHORT, None, 0, "", "", NOW, NOW)


@pytest.fixture
def tier(tmp_path: Path) -> Path:
    """A tier with one complete staging."""
    tier = tmp_path / "flash"
    files = {"images/1.tiff": b"12", "labels.csv": b"a", "labels.parquet": b"b", ".slidekeeper/READY": b""}
    folder = write_run(tier, ".", "high", files)
    (folder / "manifest.json").write_text(json.dumps({"files": [{"target": "images/1.tiff"}]}))
    return tier


def strays(found: list[Stray]) -> set[tuple[bytes, int, int, str]]:
    return {(each.path, each.files, each.size, each.why) for each in found}


def audited_tier(tier: Path, *stagings: StagingRow) -> set[tuple[bytes, int, int, str]]:
    return strays(list(audit_tier(PosixInventory(), tier, {each.name: each for each in stagings})))


def test_a_tier_with_complete_stagings_alone_is_clean(tier: Path) -> None:
    (tier / "empty" / "folders").mkdir(parents=True)
    (tier / "lost+found").mkdir()
    (tier / "lost+found" / "#123").touch()
    assert audited_tier(tier, STAGING) == set()


def test_what_the_manifest_does_not_list_is_told_file_by_file(tier: Path) -> None:
    (tier / "high" / "images" / "9.tiff").write_bytes(b"123")
    (tier / "high" / "images" / "way out").symlink_to("/")
    found = audited_tier(tier, STAGING)
    assert {(path, why) for path, _, _, why in found} == {
        (b"high/images/9.tiff", "not-in-manifest"),
        (b"high/images/way out", "not-in-manifest"),
    }


@pytest.mark.parametrize("state", [StagingState.ORDERED, StagingState.QUARANTINED, StagingState.RELEASED])
def test_a_staging_that_is_on_its_way_is_left_in_peace(tier: Path, state: StagingState) -> None:
    (tier / "high" / "half.part").touch()
    assert audited_tier(tier, replace(STAGING, state=state)) == set()


def test_what_belongs_to_no_staging_is_told_with_its_size(tier: Path) -> None:
    (tier / os.fsdecode(b"\xff")).write_bytes(b"1234")
    found = audited_tier(tier, replace(STAGING, state=StagingState.REMOVED))
    assert {(path, files, why) for path, files, _, why in found} == {(b"\xff", 1, "no-staging"), (b"high", 5, "no-staging")}


@pytest.mark.parametrize("manifest", [None, "[]", "no json", '{"files": [{"name": 1}]}'])
def test_a_staging_without_a_sound_manifest_proves_nothing(tier: Path, manifest: str | None) -> None:
    (tier / "high" / "manifest.json").unlink()
    if manifest is not None:
        (tier / "high" / "manifest.json").write_text(manifest)
    [(path, _, _, why)] = audited_tier(tier, STAGING)
    assert (path, why) == (b"high", "no-manifest")


def test_a_tier_that_is_away_is_no_clean_tier(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        audited_tier(tmp_path / "nowhere")


def run_row(root: Path, name: str, state: RunState) -> RunRow:
    place = run_place(name=name).model_copy(update={"folder": str(root / "gleason" / name), "root": str(root)})
    return RunRow(RunId("d" * 12), state, place, None, None, 0, "", "", NOW, NOW)


def test_a_root_holds_runs_that_are_not_cleaned_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    states = {state.value: state for state in RunState if state is not RunState.NEW}
    for name in [*states, "unknown"]:
        write_run(root, name=name, files={"a": b"12"})
    (root / "gleason" / "empty").mkdir()
    (root / "notes.txt").write_bytes(b"1")
    (root / "gleason" / "link").symlink_to(root)
    leftovers = write_run(root, ".slidekeeper/leftovers", "d" * 12, {"mine": b"123"})
    runs = {row.place.folder: row for row in (run_row(root, name, state) for name, state in states.items())}
    found = strays(list(audit_root(PosixInventory(), root, runs)))
    assert {each for each in found if each[0] != b"gleason/link"} == {
        (b"gleason/cleaned", 1, 2, "cleaned-run"),
        (b"gleason/unknown", 1, 2, "no-run"),
        (b"notes.txt", 1, 1, "no-run"),
        (b".slidekeeper/leftovers/" + leftovers.name.encode(), 1, 3, "leftovers"),
    }
    assert b"gleason/link" in {each[0] for each in found}
