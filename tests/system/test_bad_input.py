"""What scanners, people and broken networks leave in a drop folder: held or reported with a precise reason, the daemon healthy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.site_under_test import AT_REST, Site
from writers import write_aperio, write_pack

PATIENCE = 30
LARGE = 48 * 1024 * 1024
"""Bytes of a slide whose reading takes long enough to be disturbed."""
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
"""Takes from root the right to read what may not be read."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One running daemon for all tests of this module: it has to survive them all."""
    site = Site.create(tmp_path_factory.mktemp("site"))
    site.runner = BOUND if os.geteuid() == 0 else ()
    site.start()
    yield site
    site.kill()


def quarantined(site: Site) -> dict[str, str]:
    """Reasons by pack id."""
    return {row["pack"]: row["reason"] for row in site.ask("/quarantine", limit=1000)}


def drop_row(site: Site) -> dict[str, object]:
    """The status row of the only drop folder."""
    status = site.status()
    assert status is not None
    return dict(status["drops"][0])


class Outcome:
    """What happened since a moment."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._held = set(quarantined(site))
        self._stored = len(site.revisions())

    def held(self) -> dict[str, str]:
        """Reasons of packs quarantined since, by pack id."""
        return {pack: reason for pack, reason in quarantined(self._site).items() if pack not in self._held}

    def reasons(self) -> list[str]:
        """Reasons of packs quarantined since."""
        return sorted(self.held().values())

    def stored(self) -> int:
        """Slides stored since."""
        return len(self._site.revisions()) - self._stored

    def wait_for_reasons(self, *expected: str) -> None:
        """Wait until exactly these reasons were given."""
        self._site.wait_until(lambda: self.reasons() == sorted(expected), PATIENCE, f"reasons are {expected}, they are {self.reasons()}")

    def wait_for_stored(self, count: int) -> None:
        """Wait until so many slides were stored."""
        self._site.wait_until(lambda: self.stored() == count, PATIENCE, f"{count} slides are stored")


@pytest.fixture
def outcome(site: Site) -> Iterator[Outcome]:
    """Counts from here on; afterwards a sound pack must still come through."""
    outcome = Outcome(site)
    yield outcome
    before = len(site.revisions())
    seed = 5000 + before
    write_pack(site.drop, seed=seed)
    site.wait_until(lambda: len(site.revisions()) > before, PATIENCE, "a sound pack still comes through")


def test_an_empty_file(site: Site, outcome: Outcome) -> None:
    (site.drop / "empty-slide.svs").touch()
    outcome.wait_for_reasons("empty-file")


def test_a_truncated_slide(site: Site, outcome: Outcome, tmp_path: Path) -> None:
    whole = write_aperio(tmp_path / "whole.svs", seed=100, barcode="whole").path
    (site.drop / "truncated.svs").write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    outcome.wait_for_reasons("truncated")


def test_a_slide_with_the_wrong_extension(site: Site, outcome: Outcome) -> None:
    write_aperio(site.drop / "really-aperio.tif", seed=101, barcode="really-aperio")
    outcome.wait_for_stored(1)


def test_a_text_renamed_to_svs(site: Site, outcome: Outcome) -> None:
    (site.drop / "letter.svs").write_text("Dear colleague, Mrs Roe is coming on Tuesday." * 40)
    outcome.wait_for_reasons("unsupported-format")


def test_a_thumbnail_without_an_image(site: Site, outcome: Outcome) -> None:
    (site.drop / "lonely.jpg").write_bytes(b"\xff\xd8\xff\xd9")
    outcome.wait_for_reasons("incomplete-pack")


def test_two_images_in_one_pack(site: Site, outcome: Outcome) -> None:
    write_aperio(site.drop / "twice.svs", seed=102, barcode="twice")
    write_aperio(site.drop / "twice.tif", seed=103, barcode="twice")
    outcome.wait_for_reasons("ambiguous-pack")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"new\nline.svs", "invalid-barcode"),
        (b"\xff\xfe not text.svs", "invalid-barcode"),
        (b"L" * 251 + b".svs", "invalid-barcode"),
    ],
    ids=["a newline", "invalid UTF-8", "255 bytes"],
)
def test_a_name_that_is_no_barcode(site: Site, outcome: Outcome, tmp_path: Path, name: bytes, reason: str) -> None:
    slide = write_aperio(tmp_path / "slide.svs", seed=len(name), barcode="slide").path
    Path(os.fsdecode(os.fsencode(site.drop) + b"/" + name)).write_bytes(slide.read_bytes())
    outcome.wait_for_reasons(reason)


def test_an_emoji_in_a_name_is_only_a_name(site: Site, outcome: Outcome) -> None:
    write_aperio(site.drop / "slide \N{MICROSCOPE}.svs", seed=104, barcode="slide")
    outcome.wait_for_stored(1)


def test_a_name_like_an_option(site: Site, outcome: Outcome) -> None:
    write_aperio(site.drop / "--config=x.svs", seed=105, barcode="x")
    outcome.wait_for_stored(1)


def test_symlinks_and_fifos_are_not_opened(site: Site, outcome: Outcome, tmp_path: Path) -> None:
    secret = write_aperio(tmp_path / "elsewhere.svs", seed=106, barcode="elsewhere").path
    (site.drop / "link.svs").symlink_to(secret)
    os.mkfifo(site.drop / "pipe.svs")
    outcome.wait_for_reasons("not-a-regular-file", "not-a-regular-file")
    assert outcome.stored() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_a_device_is_not_opened(site: Site, outcome: Outcome) -> None:
    os.mknod(site.drop / "zero.svs", 0o600 | 0o020000, os.makedev(1, 5))
    outcome.wait_for_reasons("not-a-regular-file")


def test_a_loop_of_directories_is_not_followed(site: Site, outcome: Outcome) -> None:
    loop = site.drop / "loop"
    loop.mkdir()
    (loop / "again").symlink_to(loop)
    write_aperio(loop / "in-a-loop.svs", seed=107, barcode="in-a-loop")
    outcome.wait_for_stored(1)


def test_a_hard_link_waits_until_it_is_the_only_name(site: Site, outcome: Outcome, tmp_path: Path) -> None:
    slide = write_aperio(tmp_path / "linked.svs", seed=108, barcode="linked").path
    os.link(slide, site.drop / "linked.svs")
    outcome.wait_for_reasons("hard-linked")


def test_an_unreadable_file(site: Site, outcome: Outcome, tmp_path: Path) -> None:
    closed = write_aperio(tmp_path / "closed.svs", seed=109, barcode="closed").path
    closed.chmod(0)
    closed.rename(site.drop / "closed.svs")
    outcome.wait_for_reasons("unreadable")


def test_a_folder_that_may_not_be_read_is_reported_and_taken_in_once_it_may(site: Site, outcome: Outcome) -> None:
    folder = site.drop / "closed-session"
    folder.mkdir(mode=0)
    site.wait_until(lambda: drop_row(site)["unreadable"] == 1, PATIENCE, "the folder is reported")
    write_aperio(folder / "opened.svs", seed=116, barcode="opened")
    folder.chmod(0o755)
    outcome.wait_for_stored(1)
    site.wait_until(lambda: drop_row(site)["unreadable"] == 0, PATIENCE, "nothing is reported any more")


def test_a_stalled_copy_is_not_taken(site: Site, outcome: Outcome, tmp_path: Path) -> None:
    whole = write_aperio(tmp_path / "slow.svs", seed=110, barcode="slow").path.read_bytes()
    with (site.drop / "slow.svs").open("wb") as slow:
        slow.write(whole[: len(whole) // 2])
        slow.flush()
        site.wait_until(lambda: True, 1, "a moment passes")
        slow.write(whole[len(whole) // 2 :])
    outcome.wait_for_stored(1)
    assert outcome.reasons() == []


@pytest.mark.parametrize("what", ["shrinks", "is replaced", "is deleted"])
def test_a_large_file_that_changes_while_it_is_read(site: Site, outcome: Outcome, tmp_path: Path, what: str) -> None:
    name = f"{what.replace(' ', '-')}-meanwhile"
    slide = write_aperio(tmp_path / f"{name}.svs", seed=len(name), barcode=name, target_bytes=LARGE).path
    other = write_aperio(tmp_path / "other.svs", seed=117, barcode=name).path
    there = slide.rename(site.drop / slide.name)
    vanished = site.packs().get("vanished", 0)
    site.wait_until(lambda: site.packs().get("settled", 0) > 0, PATIENCE, "it is being read", every=0.005)
    match what:
        case "shrinks":
            os.truncate(there, LARGE // 2)
            outcome.wait_for_reasons("truncated")
        case "is replaced":
            other.replace(there)
            site.wait_until(lambda: outcome.stored() > 0 and at_rest(site), PATIENCE, "the other slide is stored")
            assert outcome.reasons() == []
        case _:
            there.unlink()
            site.wait_until(
                lambda: site.packs().get("vanished", 0) > vanished or outcome.stored() > 0, PATIENCE, "it is gone, or was stored"
            )
            assert outcome.reasons() == []


def at_rest(site: Site) -> bool:
    """Whether no pack is under way."""
    return set(site.packs()) <= AT_REST


def test_a_good_copy_takes_the_place_of_a_held_one(site: Site, outcome: Outcome, tmp_path: Path) -> None:
    whole = write_aperio(tmp_path / "second-try.svs", seed=111, barcode="second-try").path.read_bytes()
    (site.drop / "second-try.svs").write_bytes(whole[:5000])
    outcome.wait_for_reasons("truncated")
    (site.drop / "second-try.svs").write_bytes(whole)
    outcome.wait_for_stored(1)
    outcome.wait_for_reasons()


def test_the_same_content_again_is_a_duplicate(site: Site, outcome: Outcome) -> None:
    first = write_aperio(site.drop / "again.svs", seed=112, barcode="again").path
    outcome.wait_for_stored(1)
    duplicates = site.packs().get("duplicate", 0)
    folder = site.drop / "second-session"
    folder.mkdir(exist_ok=True)
    (folder / "again.svs").write_bytes(first.read_bytes())
    site.wait_until(lambda: site.packs().get("duplicate", 0) == duplicates + 1, PATIENCE, "the duplicate is recognized")
    assert outcome.stored() == 1


def test_other_content_under_the_same_barcode_is_a_revision(site: Site, outcome: Outcome) -> None:
    write_aperio(site.drop / "rescan.svs", seed=113, barcode="rescan")
    outcome.wait_for_stored(1)
    folder = site.drop / "third-session"
    folder.mkdir(exist_ok=True)
    write_aperio(folder / "rescan.svs", seed=114, barcode="rescan")
    outcome.wait_for_stored(2)
    newest = {revision.parent.name for revision in site.revisions() if revision.name == "r2"}
    assert len(newest) >= 1


def test_the_same_content_under_another_barcode_is_held(site: Site, outcome: Outcome) -> None:
    first = write_aperio(site.drop / "mine.svs", seed=115, barcode="mine").path
    outcome.wait_for_stored(1)
    (site.drop / "yours.svs").write_bytes(first.read_bytes())
    outcome.wait_for_reasons("barcode-conflict")


def test_a_held_pack_can_be_tried_again_and_discarded(site: Site, outcome: Outcome) -> None:
    (site.drop / "note.svs").write_text("no slide at all, however often it is tried")
    outcome.wait_for_reasons("unsupported-format")
    pack = next(pack for pack, reason in quarantined(site).items() if reason == "unsupported-format")
    assert site.run("quarantine", "retry", pack).returncode == 0
    site.wait_until(lambda: pack in quarantined(site), PATIENCE, "it is held again")
    assert site.run("quarantine", "discard", pack, "--yes").returncode == 0
    assert pack not in quarantined(site)
    refused = site.run("quarantine", "discard", pack, "--yes", check=False)
    assert refused.returncode == 1
    assert "not-in-quarantine" in refused.stderr


def test_files_of_a_held_pack_are_shown_only_behind_the_fence(site: Site, outcome: Outcome) -> None:
    (site.drop / "findme.svs").write_text("not a slide")
    outcome.wait_for_reasons("unsupported-format")
    [pack] = outcome.held()
    assert "findme" not in site.run("quarantine", "show", pack).stdout
    assert "findme.svs" in site.run("quarantine", "show", pack, "--reveal").stdout
