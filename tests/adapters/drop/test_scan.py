"""The scan finds every file that is new or changed, whatever its name, tells each file once, and never follows a link."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from slidekeeper.adapters.drop import comparison
from slidekeeper.adapters.drop import scan as scan_module
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.drop.scan import PORTION, TreeScan
from slidekeeper.errors import Unavailable
from slidekeeper.model.identity import new_batch_id, new_pack_id
from slidekeeper.model.phi import Barcode, Member, PackFiles, RelativePath, Role
from slidekeeper.ports.drop import Listing, Portion, Sighting

IGNORE = ("*.tmp", ".*")
LONG_AGO = time.time() - 3600
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


class Site:
    """A drop folder, its index and its scan."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "drop"
        self.root.mkdir()
        self.drop = PosixDrop("one", self.root)
        self.known = SqliteKnownFiles(folder / "intake.sqlite")
        self.scan = TreeScan(self.drop, folder / "intake.sqlite", IGNORE)

    def write(self, name: str | bytes, data: bytes = b"slide") -> None:
        """Write a file, and the folders above it."""
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def found(self) -> list[bytes]:
        """Paths of all that a scan of the whole tree reports, sorted."""
        return paths(list(self.scan.everything()))

    def look(self, *names: bytes) -> list[bytes]:
        """Paths of all that a look at ``names`` reports, sorted."""
        return paths(list(self.scan.look([RelativePath(name) for name in names])))

    async def remember(self, sightings: Sequence[Sighting]) -> None:
        """Put files into the index."""
        members = tuple(Member(seen.path, Role.IMAGE, seen.identity) for seen in sightings)
        await self.known.remember(
            [PackFiles(new_pack_id(), "one", new_batch_id(), RelativePath(b"stem"), Barcode("stem"), (member,)) for member in members]
        )

    async def take_in(self) -> list[Listing]:
        """Scan everything into the index, as the watcher does; returns what was listed."""
        listed: list[Listing] = []
        for portion in self.scan.everything():
            await self.remember(portion.sightings)
            await self.known.listed("one", portion.listed)
            listed += portion.listed
        return listed

    def age(self) -> None:
        """Make every directory look as if it had not changed for an hour."""
        for folder, _, _ in os.walk(os.fsencode(self.root)):
            os.utime(folder, (LONG_AGO, LONG_AGO))


@contextmanager
def somebody_else(root: Path) -> Iterator[None]:
    """Act as a user without rights, who may enter ``root``."""
    for folder in (root, *root.parents[:3]):
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def paths(portions: Sequence[Portion]) -> list[bytes]:
    """All paths in some portions, sorted."""
    return sorted(seen.path.reveal() for portion in portions for seen in portion.sightings)


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """An empty drop folder."""
    site = Site(tmp_path)
    yield site
    site.scan.close()
    await site.known.close()


async def test_new_files_are_found_at_every_depth(site: Site) -> None:
    for name in ("a.svs", "x/b.svs", "x/y/z/c.svs"):
        site.write(name)
    assert site.found() == [b"a.svs", b"x/b.svs", b"x/y/z/c.svs"]
    assert site.scan.directories == 4


async def test_known_files_are_not_told_again(site: Site) -> None:
    site.write("x/a.svs")
    await site.take_in()
    assert site.found() == []
    assert site.look(b"x/a.svs", b"x") == []


async def test_a_file_that_grew_is_told_again(site: Site) -> None:
    site.write("a.svs")
    await site.take_in()
    site.write("a.svs", b"slide and more")
    assert site.look(b"a.svs") == [b"a.svs"]


async def test_a_renamed_file_is_told_under_its_new_name(site: Site) -> None:
    site.write("x/a.svs")
    await site.take_in()
    (site.root / "x/a.svs").rename(site.root / "x/b.svs")
    assert site.found() == [b"x/b.svs"]


async def test_a_file_rewritten_in_place_with_the_same_size_is_told_again(site: Site) -> None:
    site.write("a.svs", b"first")
    await site.take_in()
    site.write("a.svs", b"other")
    assert site.look(b"a.svs") == [b"a.svs"]


async def test_a_file_rewritten_in_place_is_found_within_a_day_even_without_its_event(site: Site) -> None:
    site.write("x/a.svs", b"first")
    site.age()
    listed = await site.take_in()
    site.write("x/a.svs", b"other")
    assert site.found() == []
    await site.known.listed("one", [Listing(seen.directory, seen.mtime_ns, seen.at - 90_000) for seen in listed])
    assert site.found() == [b"x/a.svs"]


@pytest.mark.parametrize("jump", [-90_000, 90_000, 3600 * 24 * 365], ids=["a day back", "a day ahead", "a year ahead"])
async def test_a_clock_that_jumps_costs_a_listing_and_hides_no_file(site: Site, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    site.write("x/a.svs", b"first")
    site.age()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    await site.take_in()
    site.write("x/a.svs", b"other")
    monkeypatch.setattr(time, "time", lambda: now)
    assert site.found() == [b"x/a.svs"]


async def test_a_listing_made_before_the_clock_was_put_back_holds_no_longer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("x/a.svs", b"first")
    site.age()
    await site.take_in()
    site.write("x/a.svs", b"other")
    assert site.found() == []
    put_back = time.time() - 60
    monkeypatch.setattr(time, "time", lambda: put_back)
    assert site.found() == [b"x/a.svs"]


async def test_names_to_ignore_are_ignored(site: Site) -> None:
    for name in ("a.svs.tmp", ".hidden", "a.svs"):
        site.write(name)
    assert site.found() == [b"a.svs"]
    assert site.look(b"a.svs.tmp", b".hidden", b"a.svs") == [b"a.svs"]


async def test_a_whole_scan_leaves_ignored_directories_out(site: Site) -> None:
    site.write(".snapshot/a.svs")
    assert site.found() == []


@pytest.mark.parametrize("hinted", [b".snapshot/a.svs", b".snapshot", b".snapshot/deep", b"x/.snapshot/a.svs"])
async def test_a_look_leaves_ignored_directories_out_as_well(site: Site, hinted: bytes) -> None:
    for name in (".snapshot/a.svs", ".snapshot/deep/b.svs", "x/.snapshot/a.svs"):
        site.write(name)
    assert site.look(hinted) == []


async def test_links_and_pipes_are_told_for_what_they_are_and_not_followed(site: Site, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.svs").write_bytes(b"")
    (site.root / "link.svs").symlink_to(tmp_path / "outside/b.svs")
    (site.root / "folder").symlink_to(tmp_path / "outside")
    (site.root / "dangling").symlink_to("nowhere")
    os.mkfifo(site.root / "pipe")
    seen = {sighting.path.reveal(): sighting.special for portion in site.scan.everything() for sighting in portion.sightings}
    assert seen == {b"link.svs": "symlink", b"folder": "symlink", b"dangling": "symlink", b"pipe": "fifo"}


async def test_a_hinted_link_to_a_folder_is_a_link(site: Site) -> None:
    site.write("x/a.svs")
    (site.root / "link").symlink_to("x")
    assert site.look(b"link") == [b"link"]


async def test_a_look_does_not_go_through_a_link(site: Site, tmp_path: Path) -> None:
    (tmp_path / "outside/sub").mkdir(parents=True)
    (tmp_path / "outside/sub/b.svs").write_bytes(b"")
    (site.root / "link").symlink_to(tmp_path / "outside")
    assert site.look(b"link/sub") == []


async def test_a_folder_replaced_by_a_link_while_scanning_is_not_followed(site: Site, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.svs").write_bytes(b"")
    site.write("x/a.svs")
    scan = site.scan.everything()
    next(scan)
    shutil.rmtree(site.root / "x")
    (site.root / "x").symlink_to(tmp_path / "outside")
    assert paths(list(scan)) == []


async def test_a_loop_of_links_ends(site: Site) -> None:
    site.write("x/a.svs")
    (site.root / "x/up").symlink_to("..")
    (site.root / "self").symlink_to("self")
    assert site.found() == [b"self", b"x/a.svs", b"x/up"]


@pytest.mark.parametrize("name", [b"\xff\xfe.svs", b"new\nline.svs", b"n" * 255, " Größe'\";--.svs".encode(), b"-rf", b"*?[a].svs"])
async def test_any_name_is_told_as_the_bytes_it_is_and_known_again(site: Site, name: bytes) -> None:
    site.write(b"folder " + name[:200] + b"/" + name)
    expected = [b"folder " + name[:200] + b"/" + name]
    assert site.found() == expected
    assert site.look(*expected) == expected
    await site.take_in()
    assert site.found() == []


async def test_an_unchanged_directory_is_not_listed_again_but_those_below_are(site: Site) -> None:
    site.write("a.svs")
    site.write("x/y/b.svs")
    site.age()
    await site.take_in()
    site.write("a.svs", b"rewritten in place: only a listing would show it")
    site.write("x/y/c.svs")
    assert site.found() == [b"x/y/c.svs"]
    assert [portion.listed[0].directory for portion in site.scan.everything() if portion.listed] == [b"x/y"]
    assert site.scan.directories == 3


async def test_a_directory_that_changed_just_before_it_was_listed_is_listed_again(site: Site) -> None:
    site.write("a.svs")
    await site.take_in()
    site.write("a.svs", b"changed within the same tick")
    assert site.found() == [b"a.svs"]


async def test_files_put_back_with_an_old_directory_time_are_found(site: Site) -> None:
    site.write("x/a.svs")
    site.age()
    await site.take_in()
    site.write("x/b.svs")
    os.utime(site.root / "x", (LONG_AGO - 5, LONG_AGO - 5))
    assert site.found() == [b"x/b.svs"]


async def test_a_scan_cut_short_by_a_crash_is_caught_up_by_the_next(site: Site) -> None:
    site.write("x/a.svs")
    site.age()
    first = next(iter(site.scan.everything()))
    await site.known.listed("one", first.listed)
    assert site.found() == [b"x/a.svs"]


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o744], ids=["not listed", "not entered"])
async def test_a_folder_that_could_not_be_read_for_a_while_is_found_afterwards(site: Site, mode: int) -> None:
    site.write("x/closed/a.svs")
    site.age()
    (site.root / "x/closed").chmod(mode)
    with somebody_else(site.root):
        portions = list(site.scan.everything())
    assert site.scan.unreadable == 1
    for portion in portions:
        await site.known.listed("one", portion.listed)
    assert site.found() == [b"x/closed/a.svs"]
    assert site.scan.unreadable == 0


@needs_root
async def test_a_root_that_may_not_be_listed_is_unavailable_and_not_empty(site: Site) -> None:
    site.write("a.svs")
    with somebody_else(site.root):
        os.seteuid(0)
        site.root.chmod(0o711)
        os.seteuid(65534)
        with pytest.raises(Unavailable) as away:
            list(site.scan.everything())
    assert (away.value.reason, away.value.detail) == ("unreachable", "EACCES")


async def test_a_share_that_is_lost_during_a_scan_ends_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("x/a.svs")
    scan = site.scan.everything()
    next(scan)

    def lost(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "scandir", lost)
    with pytest.raises(Unavailable):
        list(scan)


@needs_root
async def test_a_folder_that_may_not_be_entered_hides_no_other_file_that_is_hinted(site: Site) -> None:
    site.write("closed/a.svs")
    site.write("b.svs")
    (site.root / "closed").chmod(0o700)
    with somebody_else(site.root):
        assert site.look(b"closed/a.svs", b"b.svs") == [b"b.svs"]


async def test_a_look_at_a_folder_does_not_forget_that_those_below_were_listed(site: Site) -> None:
    site.write("x/y/a.svs")
    site.age()
    await site.take_in()
    for portion in site.scan.look([RelativePath(b"x")]):
        await site.known.listed("one", [listing for listing in portion.listed if listing.directory != b"x/y" or listing.at == 0.0])
    assert [portion.listed for portion in site.scan.everything()] == []


async def test_a_large_directory_comes_in_portions_and_counts_as_listed_with_the_last(site: Site) -> None:
    for number in range(PORTION + 20):
        site.write(f"{number}.svs", b"")
    portions = list(site.scan.everything())
    assert [len(portion.sightings) for portion in portions] == [PORTION, 20]
    assert [len(portion.listed) for portion in portions] == [0, 1]


async def test_a_directory_deleted_while_scanning_ends_its_part_only(site: Site) -> None:
    for folder in ("x", "y", "z"):
        site.write(f"{folder}/a.svs")
    scan = site.scan.everything()
    assert next(scan).sightings == []
    shutil.rmtree(site.root / "y")
    assert paths(list(scan)) == [b"x/a.svs", b"z/a.svs"]


async def test_a_look_at_what_is_gone_finds_nothing(site: Site) -> None:
    assert site.look(b"gone.svs", b"gone/too.svs") == []


async def test_a_look_at_a_directory_goes_all_the_way_down(site: Site) -> None:
    for name in ("x/a.svs", "x/y/b.svs", "other.svs"):
        site.write(name)
    assert site.look(b"x") == [b"x/a.svs", b"x/y/b.svs"]


async def test_files_of_another_drop_folder_are_not_taken_for_known(site: Site, tmp_path: Path) -> None:
    site.write("a.svs")
    await site.take_in()
    other = TreeScan(PosixDrop("two", site.root), tmp_path / "intake.sqlite", IGNORE)
    assert paths(list(other.everything())) == [b"a.svs"]
    other.close()


def gone(portions: Sequence[Portion]) -> tuple[list[bytes], list[bytes]]:
    """Files and directories that some portions tell to be gone."""
    files = sorted(path.reveal() for portion in portions for path in portion.gone)
    return files, [portion.gone_directory for portion in portions if portion.gone_directory is not None]


async def test_what_is_gone_is_told_file_by_file_and_behind_them_their_directory(site: Site) -> None:
    for name in ("a.svs", "b.svs", "x/c.svs", "x/y/d.svs", "xy/e.svs"):
        site.write(name)
    await site.take_in()
    assert gone(list(site.scan.everything())) == ([], [])
    (site.root / "b.svs").unlink()
    shutil.rmtree(site.root / "x")
    portions = list(site.scan.everything())
    assert gone(portions) == ([b"b.svs", b"x/c.svs", b"x/y/d.svs"], [b"x"])
    told = [portion.gone_directory or [path.reveal() for path in portion.gone] for portion in portions if portion != Portion((), ())]
    assert told.index(b"x") > told.index([b"x/c.svs", b"x/y/d.svs"])


@needs_root
async def test_what_cannot_be_looked_at_is_not_gone(site: Site) -> None:
    for name in ("x/a.svs", "y/b.svs"):
        site.write(name)
    await site.take_in()
    (site.root / "x").chmod(0o744)
    (site.root / "y").chmod(0o700)
    with somebody_else(site.root):
        assert gone(list(site.scan.everything())) == ([], [])


@pytest.mark.parametrize("left", [0, 30], ids=["none", "some"])
async def test_of_a_large_directory_what_is_gone_is_found_within_bounded_memory(
    site: Site, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    monkeypatch.setattr(comparison, "AT_ONCE", 7)
    monkeypatch.setattr(scan_module, "PORTION", 5)
    for number in range(40):
        site.write(f"{number:02}.svs", b"")
    await site.take_in()
    assert gone(list(site.scan.everything())) == ([], [])
    for number in range(left, 40):
        (site.root / f"{number:02}.svs").unlink()
    site.write("new.svs")
    portions = list(site.scan.everything())
    assert paths(portions) == [b"new.svs"]
    assert gone(portions)[0] == [b"%02d.svs" % number for number in range(left, 40)]
    assert all(len(portion.gone) <= 5 for portion in portions)
