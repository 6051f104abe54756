"""Links and pipes are told for what they are, and nothing is found through them; a name is the bytes it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from adapters.drop.scan_site import ScanSite, paths


async def test_links_and_pipes_are_told_for_what_they_are_and_not_followed(site: ScanSite, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.svs").write_bytes(b"")
    (site.root / "link.svs").symlink_to(tmp_path / "outside/b.svs")
    (site.root / "folder").symlink_to(tmp_path / "outside")
    (site.root / "dangling").symlink_to("nowhere")
    os.mkfifo(site.root / "pipe")
    seen = {sighting.path.reveal(): sighting.special for portion in site.scan.everything() for sighting in portion.sightings}
    assert seen == {b"link.svs": "symlink", b"folder": "symlink", b"dangling": "symlink", b"pipe": "fifo"}


async def test_a_hinted_link_to_a_folder_is_a_link(site: ScanSite) -> None:
    site.write("x/a.svs")
    (site.root / "link").symlink_to("x")
    assert site.look(b"link") == [b"link"]


async def test_a_look_does_not_go_through_a_link(site: ScanSite, tmp_path: Path) -> None:
    (tmp_path / "outside/sub").mkdir(parents=True)
    (tmp_path / "outside/sub/b.svs").write_bytes(b"")
    (site.root / "link").symlink_to(tmp_path / "outside")
    assert site.look(b"link/sub") == []


async def test_a_folder_replaced_by_a_link_while_scanning_is_not_followed(site: ScanSite, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.svs").write_bytes(b"")
    site.write("x/a.svs")
    scan = site.scan.everything()
    next(scan)
    shutil.rmtree(site.root / "x")
    (site.root / "x").symlink_to(tmp_path / "outside")
    assert paths(list(scan)) == []


async def test_a_loop_of_links_ends(site: ScanSite) -> None:
    site.write("x/a.svs")
    (site.root / "x/up").symlink_to("..")
    (site.root / "self").symlink_to("self")
    assert site.found() == [b"self", b"x/a.svs", b"x/up"]


@pytest.mark.parametrize("name", [b"\xff\xfe.svs", b"new\nline.svs", b"n" * 255, " Größe'\";--.svs".encode(), b"-rf", b"*?[a].svs"])
async def test_any_name_is_told_as_the_bytes_it_is_and_known_again(site: ScanSite, name: bytes) -> None:
    site.write(b"folder " + name[:200] + b"/" + name)
    expected = [b"folder " + name[:200] + b"/" + name]
    assert site.found() == expected
    assert site.look(*expected) == expected
    await site.take_in()
    assert site.found() == []
