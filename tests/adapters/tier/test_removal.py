"""A removal takes what the manifest lists and nothing else, however hostile the tree is, and can be killed anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.tier.tier_site import OWNER, TierSite
from slidekeeper.adapters.tier.posix import PosixTier
from slidekeeper.errors import SlidekeeperError
from slidekeeper.model.manifest import LABELS, MANIFEST, StagedImage
from slidekeeper.ports.tier import Removal

TARGETS = dict.fromkeys((*LABELS, MANIFEST), 0)


@pytest.fixture
def site(tmp_path: Path) -> TierSite:
    return TierSite.create(tmp_path)


@pytest.fixture
def images(site: TierSite) -> list[StagedImage]:
    images = [site.put(index, 1000) for index in range(3)]
    site.stage(images)
    return images


def remove(site: TierSite, images: list[StagedImage], owner: str = OWNER) -> Removal:
    return site.tier.remove("cohort", owner, {image.target: image.size for image in images} | TARGETS)


def test_a_staging_goes_without_a_trace(site: TierSite, images: list[StagedImage]) -> None:
    removal = remove(site, images)
    assert (removal.files, removal.left) == (6, 0)
    assert not list((site.root / "flash").iterdir())
    assert remove(site, images) == Removal(0, 0, 0)


def test_strangers_stay_and_are_counted(site: TierSite, images: list[StagedImage]) -> None:
    site.path("images", "notes.txt").touch()
    site.path("mine").mkdir()
    site.path("mine", "model.pt").touch()
    assert remove(site, images).left == 2
    assert sorted(str(path.relative_to(site.path())) for path in site.path().rglob("*")) == [
        "images",
        "images/notes.txt",
        "mine",
        "mine/model.pt",
    ]


def test_another_stagings_folder_is_not_touched(site: TierSite, images: list[StagedImage]) -> None:
    assert remove(site, images, "dddddddddddd") == Removal(0, 0, 0)
    assert not site.tier.verify("cohort", True)


@pytest.mark.parametrize("place", ["images", ".slidekeeper/parts", "cohort"])
def test_links_lead_nowhere(site: TierSite, images: list[StagedImage], place: str) -> None:
    outside = site.root / "outside"
    outside.mkdir()
    for image in images:
        (outside / image.name).write_text("precious")
    target = site.path(place) if place != "cohort" else site.path()
    if target.exists():
        target.rename(site.root / "moved")
    target.symlink_to(outside)
    remove(site, images)
    assert sorted(path.name for path in outside.iterdir()) == [image.name for image in images]


def test_a_link_and_a_folder_in_a_files_place_are_left(site: TierSite, images: list[StagedImage]) -> None:
    first, second = (site.path(image.target) for image in images[:2])
    first.unlink()
    first.symlink_to(site.root / "bucket" / images[0].source)
    second.unlink()
    second.mkdir()
    (second / "file").touch()
    assert remove(site, images).left == 2
    assert first.is_symlink()
    assert (site.root / "bucket" / images[0].source).exists()


@pytest.mark.parametrize("target", ["../other/file", "/etc/hostname", "images/../../other/file", ""])
def test_paths_that_lead_out_remove_nothing(site: TierSite, images: list[StagedImage], target: str) -> None:
    other = site.root / "flash" / "other"
    other.mkdir()
    (other / "file").touch()
    assert site.tier.remove("cohort", OWNER, {target: 0}).files == 0
    assert (other / "file").exists()


def test_a_removal_that_was_killed_goes_on(site: TierSite, images: list[StagedImage], monkeypatch: pytest.MonkeyPatch) -> None:
    unlink, budget = os.unlink, [0]

    def dying(name: str, *, dir_fd: int) -> None:
        if budget[0] == 0:
            raise OSError(5, "killed")
        budget[0] -= 1
        unlink(name, dir_fd=dir_fd)

    for survived in range(20):
        with monkeypatch.context() as patched:
            patched.setattr(os, "unlink", dying)
            budget[0] = survived
            try:
                remove(site, images)
            except SlidekeeperError:
                continue
        break
    assert not list((site.root / "flash").iterdir())


def test_an_audit_sees_stagings_half_made_and_those_that_are_whole(site: TierSite, images: list[StagedImage]) -> None:
    site.tier.open("half", "dddddddddddd").close()
    (site.root / "flash" / "stranger").mkdir()
    assert PosixTier("flash", site.root / "flash", site.root / "bucket").stagings() == ["cohort", "half"]
