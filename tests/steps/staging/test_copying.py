"""Copies run in parallel, in bounded numbers; what is damaged comes from a replica or fails the whole, and what was copied stays."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from adapters.tier.tier_site import OWNER, TierSite
from slidekeeper.errors import Permanent
from slidekeeper.model.manifest import StagedImage
from slidekeeper.ports.tier import Stopped
from slidekeeper.steps.staging.copying import Copying
from slidekeeper.steps.staging.plan import largest_first, portions
from slidekeeper.steps.staging.running import Progress, Rate

MEGABYTE = 1_000_000


@pytest.fixture
def site(tmp_path: Path) -> TierSite:
    return TierSite.create(tmp_path)


@pytest.fixture
def images(site: TierSite) -> list[StagedImage]:
    return [*(site.put(index, 2000) for index in range(300)), *(site.put(1000 + index, 5 * MEGABYTE) for index in range(3))]


def copy(site: TierSite, images: list[StagedImage], progress: Progress, rate: int = 0) -> list[str]:
    """Copy all that is missing; returns the numbers whose bucket object was damaged."""
    damaged: list[str] = []
    folder = site.tier.open("cohort", OWNER)
    try:
        copying = Copying(folder, site.tier.replicas, progress, Rate(rate), lambda image, _: damaged.append(image.number))
        copying.run(portions(largest_first(images), folder.verified()), 4)
    finally:
        folder.close()
    return damaged


def verified(site: TierSite) -> set[str]:
    folder = site.tier.open("cohort", OWNER)
    try:
        return set(folder.verified())
    finally:
        folder.close()


def damage(site: TierSite, image: StagedImage) -> None:
    path = site.root / "bucket" / image.source
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_everything_is_copied_once(site: TierSite, images: list[StagedImage]) -> None:
    progress = Progress()
    assert not copy(site, images, progress)
    assert progress.copied == sum(image.size for image in images)
    assert progress.copied_files == len(images)
    assert verified(site) == {image.name for image in images}
    again = Progress()
    copy(site, images, again)
    assert again.copied == 0


def test_a_damaged_object_comes_from_the_replica(site: TierSite, images: list[StagedImage]) -> None:
    damage(site, images[-1])
    site.put(1002, 5 * MEGABYTE, "replica")
    assert copy(site, images, Progress()) == [images[-1].number]
    assert len(verified(site)) == len(images)


@pytest.mark.parametrize(("harm", "reason"), [("damage", "bucket-object-damaged"), ("remove", "slide-missing")])
def test_what_no_bucket_has_whole_fails_the_staging_by_name(site: TierSite, images: list[StagedImage], harm: str, reason: str) -> None:
    victim = images[0]
    if harm == "damage":
        damage(site, victim)
    else:
        (site.root / "bucket" / victim.source).unlink()
    with pytest.raises(Permanent) as told:
        copy(site, images, Progress())
    assert told.value.reason == reason
    assert f"slide {victim.number} revision 1" in told.value.detail
    assert victim.name not in verified(site)


def test_a_copy_is_stopped_soon_and_keeps_what_it_has(site: TierSite, images: list[StagedImage]) -> None:
    progress = Progress()

    def stop_when_something_is_copied() -> None:
        while not progress.copied_files:
            time.sleep(0.01)
        progress.stopping.set()

    threading.Thread(target=stop_when_something_is_copied, daemon=True).start()
    with pytest.raises(Stopped):
        copy(site, images, progress, rate=5 * MEGABYTE)
    assert 0 < len(verified(site)) < len(images)


def test_the_rate_is_kept(site: TierSite, images: list[StagedImage]) -> None:
    started = time.monotonic()
    copy(site, images[-3:], Progress(), rate=15 * MEGABYTE)
    assert time.monotonic() - started >= 0.7
