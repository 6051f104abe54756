"""From drop folder to version and back: nothing leaks on the way, and a site that is lost but for its replica comes back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from system.site_under_test import Site
from writers import write_pack

PACKS = 3
WEIGHTS = bytes(range(256)) * 1000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "replica").mkdir()
    site = Site.create(
        tmp_path / "site",
        training__settle_seconds=0.2,
        training__scan_seconds=0.5,
        tier__flash__reserve_bytes=0,
        protection__immutable=False,
        protection__replicas=[str(tmp_path / "replica")],
    )
    yield site
    site.kill()


def train(site: Site, staging: str) -> Path:
    """What a training job does: prove its input, write artifacts, say that it is done."""
    site.run("staging", "verify", staging, "--exact")
    run = site.folder / "runs" / "gleason" / "run-1"
    (run / "code").mkdir(parents=True)
    (run / "code" / "train.py").write_text("print('training')\n")
    (run / "model.bin").write_bytes(WEIGHTS)
    (run / "DONE").write_text(json.dumps({"staging": staging, "code": ["code"], "parameters": {"epochs": 3}}))
    return run


def files(folder: Path) -> Mapping[str, bytes]:
    """Every file of the bucket that readers see."""
    visible = [path for path in folder.rglob("*") if path.is_file() and ".aside" not in path.parts and not path.name.startswith(".")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in visible}


def test_a_lost_site_comes_back_from_its_replica_with_slides_versions_and_catalog(site: Site, tmp_path: Path) -> None:
    planted = [write_pack(site.drop, seed=seed) for seed in range(PACKS)]
    site.start()
    site.wait_at_rest(PACKS)
    site.run("stage", "--where", "true", "--name", "all")
    train(site, "all")
    site.wait_until(lambda: bool(site.events("run.protected")), 20, "the run is protected")
    site.wait_until(lambda: (site.status() or {})["replicas"][0]["behind"] == 0, 20, "the replica has caught up")
    slides = site.json("slides", "list")
    provenance = provenance_of(site, tmp_path)
    assert all(slide["number"] in provenance for slide in slides)
    site.stop()
    site.check_nothing_leaked({identifier for pack in planted for identifier in pack.identifiers})
    held = files(site.bucket)
    shutil.rmtree(site.bucket)
    site.bucket.mkdir()
    shutil.copytree(site.state / "identified", tmp_path / "backup")
    shutil.rmtree(site.state)
    site.state.mkdir()
    assert "3 slide revisions" in site.run("rebuild", "--from", str(tmp_path / "replica")).stdout
    assert files(site.bucket) == held
    shutil.copytree(tmp_path / "backup", site.state / "identified")
    (site.state / "identified").chmod(0o700)
    site.start()
    site.wait_at_rest(PACKS)
    site.wait_until(lambda: len(site.ask("/slides")) == PACKS, 20, "the catalog is back")
    times = {"stored"}
    assert [{key: value for key, value in slide.items() if key not in times} for slide in site.ask("/slides")] == [
        {key: value for key, value in slide.items() if key not in times} for slide in slides
    ]
    site.run("restore", "gleason@v1", "--to", str(tmp_path / "restored"))
    assert (tmp_path / "restored" / "artifacts" / "model.bin").read_bytes() == WEIGHTS
    assert (tmp_path / "restored" / "code" / "code" / "train.py").exists()


def provenance_of(site: Site, folder: Path) -> str:
    """What the newest version says of where it came from."""
    site.run("restore", "gleason", "--to", str(folder / "provenance"), "--path", "provenance.json")
    return (folder / "provenance" / "provenance.json").read_text()
