"""The scan finds every file that is new or changed, whatever its name, tells each file once, and never follows a link."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from adapters.drop.scan_site import IGNORE, LONG_AGO, ScanSite, paths
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.drop.scan import PORTION, TreeScan
from slidekeeper.model.phi import RelativePath
from slidekeeper.ports.drop import Listing


async def test_new_files_are_found_at_every_depth(site: ScanSite) -> None:
    for name in ("a.svs", "x/b.svs", "x/y/z/c.svs"):
        site.write(name)
    assert site.found() == [b"a.svs", b"x/b.svs", b"x/y/z/c.svs"]
    assert site.scan.directories == 4


async def test_known_files_are_not_told_again(site: ScanSite) -> None:
    site.write("x/a.svs")
    await site.take_in()
    assert site.found() == []
    assert site.look(b"x/a.svs", b"x") == []


async def test_a_file_that_grew_is_told_again(site: ScanSite) -> None:
    site.write("a.svs")
    await site.take_in()
    site.write("a.svs", b"slide and more")
    assert site.look(b"a.svs") == [b"a.svs"]


async def test_a_renamed_file_is_told_under_its_new_name(site: ScanSite) -> None:
    site.write("x/a.svs")
    await site.take_in()
    (site.root / "x/a.svs").rename(site.root / "x/b.svs")
    assert site.found() == [b"x/b.svs"]


async def test_a_file_rewritten_in_place_with_the_same_size_is_told_again(site: ScanSite) -> None:
    site.write("a.svs", b"first")
    await site.take_in()
    site.write("a.svs", b"other")
    assert site.look(b"a.svs") == [b"a.svs"]


async def test_a_file_rewritten_in_place_is_found_within_a_day_even_without_its_event(site: ScanSite) -> None:
    site.write("x/a.svs", b"first")
    site.age()
    listed = await site.take_in()
    site.write("x/a.svs", b"other")
    assert site.found() == []
    await site.known.listed("one", [Listing(seen.directory, seen.mtime_ns, seen.at - 90_000) for seen in listed])
    assert site.found() == [b"x/a.svs"]


@pytest.mark.parametrize("jump", [-90_000, 90_000, 3600 * 24 * 365], ids=["a day back", "a day ahead", "a year ahead"])
async def test_a_clock_that_jumps_costs_a_listing_and_hides_no_file(site: ScanSite, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    site.write("x/a.svs", b"first")
    site.age()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    await site.take_in()
    site.write("x/a.svs", b"other")
    monkeypatch.setattr(time, "time", lambda: now)
    assert site.found() == [b"x/a.svs"]


async def test_a_listing_made_before_the_clock_was_put_back_holds_no_longer(site: ScanSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("x/a.svs", b"first")
    site.age()
    await site.take_in()
    site.write("x/a.svs", b"other")
    assert site.found() == []
    put_back = time.time() - 60
    monkeypatch.setattr(time, "time", lambda: put_back)
    assert site.found() == [b"x/a.svs"]


async def test_names_to_ignore_are_ignored(site: ScanSite) -> None:
    for name in ("a.svs.tmp", ".hidden", "a.svs"):
        site.write(name)
    assert site.found() == [b"a.svs"]
    assert site.look(b"a.svs.tmp", b".hidden", b"a.svs") == [b"a.svs"]


async def test_a_whole_scan_leaves_ignored_directories_out(site: ScanSite) -> None:
    site.write(".snapshot/a.svs")
    assert site.found() == []


@pytest.mark.parametrize("hinted", [b".snapshot/a.svs", b".snapshot", b".snapshot/deep", b"x/.snapshot/a.svs"])
async def test_a_look_leaves_ignored_directories_out_as_well(site: ScanSite, hinted: bytes) -> None:
    for name in (".snapshot/a.svs", ".snapshot/deep/b.svs", "x/.snapshot/a.svs"):
        site.write(name)
    assert site.look(hinted) == []


async def test_an_unchanged_directory_is_not_listed_again_but_those_below_are(site: ScanSite) -> None:
    site.write("a.svs")
    site.write("x/y/b.svs")
    site.age()
    await site.take_in()
    site.write("a.svs", b"rewritten in place: only a listing would show it")
    site.write("x/y/c.svs")
    assert site.found() == [b"x/y/c.svs"]
    assert [portion.listed[0].directory for portion in site.scan.everything() if portion.listed] == [b"x/y"]
    assert site.scan.directories == 3


async def test_a_directory_that_changed_just_before_it_was_listed_is_listed_again(site: ScanSite) -> None:
    site.write("a.svs")
    await site.take_in()
    site.write("a.svs", b"changed within the same tick")
    assert site.found() == [b"a.svs"]


async def test_files_put_back_with_an_old_directory_time_are_found(site: ScanSite) -> None:
    site.write("x/a.svs")
    site.age()
    await site.take_in()
    site.write("x/b.svs")
    os.utime(site.root / "x", (LONG_AGO - 5, LONG_AGO - 5))
    assert site.found() == [b"x/b.svs"]


async def test_a_scan_cut_short_by_a_crash_is_caught_up_by_the_next(site: ScanSite) -> None:
    site.write("x/a.svs")
    site.age()
    first = next(iter(site.scan.everything()))
    await site.known.listed("one", first.listed)
    assert site.found() == [b"x/a.svs"]


async def test_a_look_at_a_folder_does_not_forget_that_those_below_were_listed(site: ScanSite) -> None:
    site.write("x/y/a.svs")
    site.age()
    await site.take_in()
    for portion in site.scan.look([RelativePath(b"x")]):
        await site.known.listed("one", [listing for listing in portion.listed if listing.directory != b"x/y" or listing.at == 0.0])
    assert [portion.listed for portion in site.scan.everything()] == []


async def test_a_large_directory_comes_in_portions_and_counts_as_listed_with_the_last(site: ScanSite) -> None:
    for number in range(PORTION + 20):
        site.write(f"{number}.svs", b"")
    portions = list(site.scan.everything())
    assert [len(portion.sightings) for portion in portions] == [PORTION, 20]
    assert [len(portion.listed) for portion in portions] == [0, 1]


async def test_a_directory_deleted_while_scanning_ends_its_part_only(site: ScanSite) -> None:
    for folder in ("x", "y", "z"):
        site.write(f"{folder}/a.svs")
    scan = site.scan.everything()
    assert next(scan).sightings == []
    shutil.rmtree(site.root / "y")
    assert paths(list(scan)) == [b"x/a.svs", b"z/a.svs"]


async def test_a_look_at_what_is_gone_finds_nothing(site: ScanSite) -> None:
    assert site.look(b"gone.svs", b"gone/too.svs") == []


async def test_a_look_at_a_directory_goes_all_the_way_down(site: ScanSite) -> None:
    for name in ("x/a.svs", "x/y/b.svs", "other.svs"):
        site.write(name)
    assert site.look(b"x") == [b"x/a.svs", b"x/y/b.svs"]


async def test_files_of_another_drop_folder_are_not_taken_for_known(site: ScanSite, tmp_path: Path) -> None:
    site.write("a.svs")
    await site.take_in()
    other = TreeScan(PosixDrop("two", site.root), tmp_path / "intake.sqlite", IGNORE)
    assert paths(list(other.everything())) == [b"a.svs"]
    other.close()
