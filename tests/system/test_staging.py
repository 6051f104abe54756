"""Cohorts come to the tier with the real daemon, whatever ends it in between, and leave the tier as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from system.site_under_test import Site
from writers import write_pack

SLIDES = 4
PATIENCE = 60


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with some slides, its daemon running; the tier takes one slide a second."""
    site = Site.create(
        tmp_path, tier__flash__reserve_bytes=0, tier__flash__megabytes_per_second=1, tier__flash__copies=2, protection__replicas=["replica"]
    )
    site.start()
    (site.drop / "session-1").mkdir()
    for seed in range(SLIDES):
        write_pack(site.drop / "session-1", seed=seed)
    site.wait_at_rest(SLIDES)
    yield site
    site.kill()


def tier(site: Site, name: str) -> Path:
    return site.folder / "flash" / name


def shown(site: Site, name: str) -> Any:
    return site.json("staging", "show", name)


def wait_ready(site: Site, name: str) -> Any:
    site.wait_until(lambda: shown(site, name)["state"] == "ready", PATIENCE, f"{name} is ready: {shown(site, name)}", 0.3)
    return shown(site, name)


def test_a_killed_staging_goes_on_where_it_was_and_ends_as_its_manifest_says(site: Site) -> None:
    preview = json.loads(site.run("stage", "--where", "width > 0", "--name", "all", "--dry-run", "--json").stdout)
    assert (preview["slides"], preview["refused"], preview["there"]) == (SLIDES, None, "")
    assert not tier(site, "all").exists()
    site.run("stage", "--where", "width > 0", "--name", "all", "--no-follow")
    progress = tier(site, "all") / ".slidekeeper" / "progress"
    site.wait_until(lambda: progress.exists() and bool(progress.read_text()), PATIENCE, "something is verified")
    site.kill()
    verified = {line.split()[0]: (tier(site, "all") / ".slidekeeper" / "parts" / line.split()[0]).stat() for line in progress.open()}
    assert 0 < len(verified) < SLIDES
    assert not (tier(site, "all") / "images").exists()
    assert site.run("staging", "verify", "all", check=False).returncode == 1
    site.start()
    staging = wait_ready(site, "all")
    assert staging["copied"] == staging["size"] - sum(found.st_size for found in verified.values())
    for name, found in verified.items():
        there = (tier(site, "all") / "images" / name).stat()
        assert (there.st_ino, there.st_mtime_ns) == (found.st_ino, found.st_mtime_ns)
    assert site.run("staging", "verify", "all", "--exact").returncode == 0
    numbers = {slide["number"] for slide in site.json("slides", "list")}
    assert {path.stem for path in (tier(site, "all") / "images").iterdir()} == numbers
    again = site.run("stage", "--where", "width > 1", "--name", "all")
    assert "is ready" in again.stdout
    refused = site.run("stage", "--numbers", "-", "--name", "all", check=False)
    assert refused.returncode == 1
    (tier(site, "all") / "notebook.ipynb").write_text("somebody's")
    assert site.run("staging", "verify", "all").returncode == 0
    assert site.run("staging", "verify", "all", "--exact", check=False).returncode == 1
    site.run("staging", "release", "all")
    site.wait_until(lambda: shown(site, "all")["state"] == "removed", PATIENCE, "it is removed", 0.3)
    assert [path.name for path in tier(site, "all").iterdir()] == ["notebook.ipynb"]
    [event] = site.json("events", "--type", "staging.removed")
    assert event["data"]["left"] == 1
    assert not list((site.state / "stagings").iterdir())
    dirty = site.run("stage", "--where", "width > 0", "--name", "all", check=False)
    assert "target-not-empty" in dirty.stderr


def test_a_damaged_slide_fails_the_staging_loudly_and_a_replica_saves_it(site: Site) -> None:
    slide = next(iter(site.json("slides", "list")))
    image = next((site.bucket / slide["key"]).glob(f"{slide['number']}.*"))
    sound = image.read_bytes()
    image.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    (site.folder / "numbers.txt").write_text(slide["number"])
    held = site.run("stage", "--numbers", str(site.folder / "numbers.txt"), "--name", "one", check=False)
    assert held.returncode == 1
    assert "bucket-object-damaged" in held.stderr
    assert slide["number"] in held.stderr
    [damage] = map(json.loads, (site.state / "stagings" / "damaged.jsonl").open())
    assert (damage["number"], damage["revision"]) == (slide["number"], 1)
    copy = site.folder / "replica" / image.relative_to(site.bucket)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(sound)
    site.run("staging", "retry", "one")
    wait_ready(site, "one")
    assert (tier(site, "one") / "images" / image.name).read_bytes() == sound


def test_a_tier_that_goes_away_is_waited_for(site: Site) -> None:
    flash = site.folder / "flash"
    flash.rename(site.folder / "away")
    assert site.run("stage", "--where", "true", "--name", "all", "--no-follow", check=False).returncode == 1
    (site.folder / "away").rename(flash)
    site.run("stage", "--where", "true", "--name", "all", "--no-follow")
    site.wait_until((flash / "all" / ".slidekeeper").exists, PATIENCE, "it began")
    site.run("staging", "release", "all")
    site.wait_until(lambda: shown(site, "all")["state"] == "removed", PATIENCE, "it is removed", 0.3)
    assert not list(flash.iterdir())


def test_a_withdrawn_slide_leaves_the_tier(site: Site) -> None:
    site.run("stage", "--where", "true", "--name", "all")
    number = site.json("slides", "list")[0]["number"]
    site.run("withdraw", number, "--yes")
    images = {path.stem for path in (tier(site, "all") / "images").iterdir()}
    assert len(images) == SLIDES - 1
    assert number not in images
    assert number not in (tier(site, "all") / "manifest.json").read_text()
    assert pl.read_parquet(tier(site, "all") / "labels.parquet").height == SLIDES - 1
    assert site.run("staging", "verify", "all", "--exact").returncode == 0
    assert json.loads((tier(site, "all") / "manifest.json").read_text())["withdrawn"] == 1
