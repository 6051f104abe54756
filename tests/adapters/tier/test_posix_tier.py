"""What comes to a tier is byte for byte what the bucket holds, appears whole, and is proven; nothing half is ever in sight."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from adapters.tier.tier_site import OWNER, ROWS, SIZES, TierSite, complete, ignore, plan_of
from slidekeeper.adapters.tier import copying
from slidekeeper.adapters.tier.posix import PosixTier
from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.model.manifest import StagedImage, manifest_of
from slidekeeper.ports.tier import Stopped


@pytest.fixture
def site(tmp_path: Path) -> TierSite:
    return TierSite.create(tmp_path)


@pytest.fixture
def images(site: TierSite) -> list[StagedImage]:
    return [site.put(index, size) for index, size in enumerate(SIZES)]


def problems(site: TierSite, exact: bool = True) -> set[tuple[str, str]]:
    return {(finding.target, finding.problem) for finding in site.tier.verify("cohort", exact)}


def test_every_size_comes_through_and_verifies(site: TierSite, images: list[StagedImage]) -> None:
    manifest = site.stage(images)
    for image in images:
        assert site.path(image.target).read_bytes() == (site.root / "bucket" / image.source).read_bytes()
    assert not problems(site)
    assert json.loads(site.path("manifest.json").read_text())["files"][0]["source"] == images[0].source
    assert site.tier.manifest("cohort") == manifest
    assert site.tier.stagings() == ["cohort"]


def test_file_systems_without_direct_input_and_output_are_copied_through_memory(
    site: TierSite, images: list[StagedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    pread, pwrite, fcntl = os.preadv, os.pwrite, copying.fcntl.fcntl

    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "not here")

    def buffered(file: int, *rest: object) -> int:
        return refuse() if fcntl(file, copying.fcntl.F_GETFL) & os.O_DIRECT else pread(file, *rest[:2])  # type: ignore[arg-type]

    monkeypatch.setattr(copying.os, "preadv", lambda file, *rest: refuse() if len(rest) > 2 else buffered(file, *rest))
    monkeypatch.setattr(
        copying.os, "pwrite", lambda file, *rest: refuse() if fcntl(file, copying.fcntl.F_GETFL) & os.O_DIRECT else pwrite(file, *rest)
    )
    site.stage(images)
    assert not problems(site)


def test_nothing_is_in_sight_before_all_is_there(site: TierSite, images: list[StagedImage]) -> None:
    folder = site.tier.open("cohort", OWNER)
    folder.copy(images[-1], ignore)
    folder.settle(images[-1:])
    assert [path.name for path in site.path().iterdir()] == [".slidekeeper"]
    assert problems(site, exact=False) == {("manifest.json", "no-manifest")}
    folder.close()


def test_what_was_settled_is_found_again_and_nothing_else(site: TierSite, images: list[StagedImage]) -> None:
    folder = site.tier.open("cohort", OWNER)
    for image in images:
        folder.copy(image, ignore)
    folder.settle(images[:3])
    folder.close()
    site.path(".slidekeeper", "parts", images[0].name).unlink()
    with site.path(".slidekeeper", "progress").open("ab") as log:
        log.write(f"{images[4].name} {images[4].size}".encode())  # torn before its end
    folder = site.tier.open("cohort", OWNER)
    assert folder.verified() == {image.name: image.size for image in images[1:3]}
    folder.close()


def test_a_staging_whose_images_are_in_sight_but_not_complete_goes_on(site: TierSite, images: list[StagedImage]) -> None:
    site.stage(images)
    site.path(".slidekeeper", "READY").unlink()
    site.path("manifest.json").unlink()
    folder = site.tier.open("cohort", OWNER)
    assert len(folder.verified()) == len(images)
    complete(folder, images)
    folder.close()
    assert not problems(site)


def test_a_copy_stops_between_two_windows(site: TierSite, images: list[StagedImage]) -> None:
    def stop(_: int) -> None:
        raise Stopped

    folder = site.tier.open("cohort", OWNER)
    with pytest.raises(Stopped):
        folder.copy(images[-1], stop)
    folder.close()


def test_the_digest_is_that_of_what_was_read(site: TierSite, images: list[StagedImage]) -> None:
    big = images[-1]
    path = site.root / "bucket" / big.source
    content = bytearray(path.read_bytes())
    content[5_000_000] ^= 1
    path.write_bytes(content)
    folder = site.tier.open("cohort", OWNER)
    assert folder.copy(big, ignore) != big.digest
    path.write_bytes(content[:-1])
    assert folder.copy(big, ignore) == f"size:{big.size - 1}"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        folder.copy(big, ignore)
    with pytest.raises(FileNotFoundError):
        folder.copy(big, ignore, replica=1)
    folder.close()


def test_another_stagings_folder_a_strangers_and_a_link_are_refused(site: TierSite, images: list[StagedImage]) -> None:
    site.stage(images[:1])
    site.root.joinpath("flash", "strange").mkdir()
    site.root.joinpath("flash", "strange", "file").touch()
    site.root.joinpath("flash", "link").symlink_to(site.root / "bucket")
    for name, owner in (("cohort", "dddddddddddd"), ("strange", OWNER), ("link", OWNER)):
        with pytest.raises(Permanent) as refused:
            site.tier.open(name, owner)
        assert refused.value.reason == "target-not-empty"
    assert site.tier.holding("link").entries == 1
    assert site.tier.holding("strange").owner == ""
    assert site.tier.holding("nothing").entries == 0


@pytest.mark.parametrize("exact", [False, True])
def test_whatever_differs_from_the_manifest_is_found(site: TierSite, images: list[StagedImage], exact: bool) -> None:
    site.stage(images)
    missing, short, flipped, linked = (site.path(image.target) for image in images[1:5])
    content = missing.read_bytes()
    missing.unlink()
    short.write_bytes(short.read_bytes()[:-1])
    flipped.write_bytes(b"\0" + flipped.read_bytes()[1:])
    linked.unlink()
    linked.symlink_to(site.root / "bucket" / images[4].source)
    os.mkfifo(site.path("images", "pipe"))
    site.path("empty").mkdir()
    site.path("notes\n\udcff.txt").write_bytes(content)
    found = {problem for _, problem in problems(site, exact)}
    assert found == {"missing", "wrong-size", "no-file"} | ({"wrong-digest", "stranger"} if exact else set())
    strangers = {target for target, problem in problems(site, exact) if problem == "stranger"}
    assert strangers == ({"images/pipe", "empty", "notes\n\\xff.txt"} if exact else set())


def test_a_changed_manifest_is_not_believed(site: TierSite, images: list[StagedImage]) -> None:
    site.stage(images)
    manifest = site.path("manifest.json")
    manifest.write_text(manifest.read_text().replace('"site"', '"else"'))
    assert problems(site) >= {(".slidekeeper/READY", "not-ready")} or problems(site) == {("manifest.json", "no-manifest")}


def test_a_withdrawn_image_leaves_a_complete_staging_and_one_under_way(site: TierSite, images: list[StagedImage]) -> None:
    site.stage(images)
    revised = manifest_of(plan_of(images[1:]), ())
    site.tier.revise(revised, {}, images[:1])
    assert not site.path(images[0].target).exists()
    assert site.tier.manifest("cohort") == revised
    assert {problem for _, problem in problems(site)} == {"stranger"}  # the labels, of which this manifest says nothing
    site.tier.revise(revised.model_copy(update={"name": "absent"}), ROWS, images)


def test_space_is_counted_without_the_reserve(site: TierSite) -> None:
    reserved = PosixTier("flash", site.root / "flash", site.root / "bucket", reserve_bytes=1 << 60)
    assert reserved.free() < 0 < site.tier.free()
    with pytest.raises(Unavailable):
        reserved.probe()
    site.tier.probe()


@pytest.mark.parametrize("mount", [False, True])
def test_a_tier_that_is_away_is_a_place_that_cannot_be_used(tmp_path: Path, mount: bool) -> None:
    root = tmp_path / "flash"
    if mount:
        root.mkdir()
    away = PosixTier("flash", root, tmp_path, mount=mount)
    for ask in (away.free, away.probe, away.stagings, lambda: away.open("x", OWNER), lambda: away.verify("x", True)):
        with pytest.raises(Unavailable) as told:
            ask()
        assert told.value.place == "tier:flash"


def test_a_bucket_object_of_another_size_counts_as_missing(site: TierSite, images: list[StagedImage]) -> None:
    (site.root / "bucket" / images[1].source).write_bytes(b"longer")
    (site.root / "bucket" / images[2].source).unlink()
    assert site.tier.missing(images) == images[1:3]


def test_a_bucket_that_is_away_lacks_no_slide(site: TierSite, images: list[StagedImage]) -> None:
    def away() -> None:
        raise Unavailable("bucket", "not-mounted")

    tier = PosixTier("flash", site.root / "flash", site.root / "empty", check_bucket=away)
    folder = tier.open("cohort", OWNER)
    for ask in (lambda: tier.missing(images), lambda: folder.copy(images[0], ignore)):
        with pytest.raises(Unavailable) as told:
            ask()
        assert told.value.place == "bucket"
    folder.close()


def test_a_replica_that_fails_has_nothing(site: TierSite, images: list[StagedImage], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "gone")

    folder = site.tier.open("cohort", OWNER)
    monkeypatch.setattr(copying, "Reader", fail)
    with pytest.raises(FileNotFoundError):
        folder.copy(images[0], ignore, replica=1)
    with pytest.raises(Unavailable):
        folder.copy(images[0], ignore)
    folder.close()
