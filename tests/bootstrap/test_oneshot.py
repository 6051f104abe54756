"""``anonymize`` without a daemon: new names, nothing half done, no identifier in the report, nothing left behind by what failed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from shared_data import shared
from slidekeeper.adapters.executor.processes import ProcessExecutor
from slidekeeper.bootstrap import oneshot
from slidekeeper.errors import Permanent
from slidekeeper.settings.sections import EngineSettings
from writers import write_aperio, write_pack


def anonymize(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "slidekeeper", "anonymize", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def report_of(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The report it printed."""
    report: dict[str, Any] = json.loads(run.stdout)
    return report


def test_a_slide_file_becomes_the_new_file(tmp_path: Path) -> None:
    planted = write_aperio(tmp_path / "S26-1.svs", seed=1, barcode="S26-1")
    run = anonymize(planted.path, tmp_path / "new.svs")
    assert (run.returncode, run.stderr) == (0, "")
    content = (tmp_path / "new.svs").read_bytes()
    assert report_of(run)["slides"][0]["digest"] == f"blake3:{blake3(content).hexdigest()}"
    assert not [identifier for identifier in planted.identifiers if identifier.encode() in content + run.stdout.encode()]
    assert {path.name for path in tmp_path.iterdir()} == {"S26-1.svs", "new.svs"}


@pytest.mark.parametrize(("packs", "workers"), [(1, 1), (2, 2), (9, EngineSettings().workers)])
def test_no_worker_is_started_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packs: int, workers: int) -> None:
    started = []

    class Counted(ProcessExecutor):
        def __init__(self, workers: int, memory_megabytes: int, preload: Sequence[str]) -> None:
            started.append(workers)
            super().__init__(workers, memory_megabytes, preload)

        async def run(self, *_: Any) -> Any:
            raise Permanent("not-asked")

    monkeypatch.setattr(oneshot, "ProcessExecutor", Counted)
    (tmp_path / "in").mkdir()
    for seed in range(packs):
        (tmp_path / "in" / f"{seed}.svs").write_text("a slide, says its name")
    assert oneshot.anonymize_once(tmp_path / "in", tmp_path / "out")["failed"] == packs
    assert started == [workers]


def test_a_folder_of_packs_becomes_a_folder_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    planted = [write_pack(tmp_path / "in", seed=seed) for seed in (1, 2)]
    run = anonymize(tmp_path / "in", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    for slide in report_of(run)["slides"]:
        folder = tmp_path / "out" / slide["number"]
        assert {path.name for path in folder.iterdir()} == {f"{slide['number']}.svs", "thumbnail.jpg", "slide.json"}
    everything = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()) + run.stdout.encode()
    assert not [identifier for pack in planted for identifier in pack.identifiers if identifier.encode() in everything]


def test_a_pack_that_fails_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_pack(tmp_path / "in", seed=1)
    (tmp_path / "in" / "bad.svs").write_text("no slide")
    run = anonymize(tmp_path / "in", tmp_path / "out")
    assert run.returncode == 1
    assert [slide.get("failed") for slide in report_of(run)["slides"]].count("unsupported-format") == 1
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_a_slide_that_fails_leaves_no_output(tmp_path: Path) -> None:
    (tmp_path / "bad.svs").write_text("no slide")
    assert anonymize(tmp_path / "bad.svs", tmp_path / "new.svs").returncode == 1
    assert {path.name for path in tmp_path.iterdir()} == {"bad.svs"}


def test_a_truncated_slide_leaves_no_output(tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "S26-1.svs", seed=1, barcode="S26-1").path
    slide.write_bytes(slide.read_bytes()[:-5000])
    run = anonymize(slide, tmp_path / "new.svs")
    assert (run.returncode, report_of(run)["slides"][0]["failed"]) == (1, "truncated")
    assert not (tmp_path / "new.svs").exists()


def test_the_extension_does_not_matter(tmp_path: Path) -> None:
    write_aperio(tmp_path / "S26-1.bin", seed=1, barcode="S26-1")
    assert anonymize(tmp_path / "S26-1.bin", tmp_path / "new.svs").returncode == 0


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("slide.svs", "slide.svs", "target-exists"),
        ("slide.svs", "none/new.svs", "no-target-folder"),
        ("none.svs", "new.svs", "no-source"),
        ("folder", "folder/new", "target-in-source"),
        ("empty", "new", "no-source"),
    ],
)
def test_what_would_overwrite_or_mix_is_refused(tmp_path: Path, source: str, target: str, reason: str) -> None:
    write_aperio(tmp_path / "slide.svs", seed=1, barcode="slide")
    for folder in ("folder", "empty"):
        (tmp_path / folder).mkdir()
    write_aperio(tmp_path / "folder" / "slide.svs", seed=1, barcode="slide")
    before = sorted(tmp_path.rglob("*"))
    run = anonymize(tmp_path / source, tmp_path / target)
    assert (run.returncode, run.stdout) == (1, "")
    assert reason in run.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_the_plan_of_a_slide_accounts_for_every_byte(tmp_path: Path) -> None:
    planted = write_aperio(tmp_path / "S26-1.svs", seed=1, barcode="S26-1")
    assert anonymize(planted.path, tmp_path / "new.svs").returncode == 0
    run = anonymize("--explain", planted.path)
    rows = [line.split() for line in run.stdout.splitlines()[1:]]
    ends = [int(row[0]) + int(row[1]) for row in rows]
    assert [int(row[0]) for row in rows] == [0, *ends[:-1]]
    assert ends[-1] == (tmp_path / "new.svs").stat().st_size


def test_the_real_slide_is_anonymized(tmp_path: Path) -> None:
    run = anonymize(shared("slides", "svs", "CMU-1-Small-Region.svs"), tmp_path / "new.svs")
    [slide] = report_of(run)["slides"]
    assert (slide["format"], {"image:label", "image:macro", "key:ScanScope ID"} <= set(slide["removed"])) == ("aperio", True)
