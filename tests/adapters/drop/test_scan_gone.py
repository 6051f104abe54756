"""What is gone is told; what cannot be read or looked at is not gone, and is found once it can be."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence

import pytest

from adapters.drop.scan_site import ScanSite, paths
from slidekeeper.adapters.drop import comparison
from slidekeeper.adapters.drop import scan as scan_module
from slidekeeper.errors import Unavailable
from slidekeeper.ports.drop import Portion
from strangers import needs_root, somebody_else


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o744], ids=["not listed", "not entered"])
async def test_a_folder_that_could_not_be_read_for_a_while_is_found_afterwards(site: ScanSite, mode: int) -> None:
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
async def test_a_root_that_may_not_be_listed_is_unavailable_and_not_empty(site: ScanSite) -> None:
    site.write("a.svs")
    with somebody_else(site.root):
        os.seteuid(0)
        site.root.chmod(0o711)
        os.seteuid(65534)
        with pytest.raises(Unavailable) as away:
            list(site.scan.everything())
    assert (away.value.reason, away.value.detail) == ("unreachable", "EACCES")


async def test_a_share_that_is_lost_during_a_scan_ends_it(site: ScanSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site.write("x/a.svs")
    scan = site.scan.everything()
    next(scan)

    def lost(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "scandir", lost)
    with pytest.raises(Unavailable):
        list(scan)


@needs_root
async def test_a_folder_that_may_not_be_entered_hides_no_other_file_that_is_hinted(site: ScanSite) -> None:
    site.write("closed/a.svs")
    site.write("b.svs")
    (site.root / "closed").chmod(0o700)
    with somebody_else(site.root):
        assert site.look(b"closed/a.svs", b"b.svs") == [b"b.svs"]


def gone(portions: Sequence[Portion]) -> tuple[list[bytes], list[bytes]]:
    """Files and directories that some portions tell to be gone."""
    files = sorted(path.reveal() for portion in portions for path in portion.gone)
    return files, [portion.gone_directory for portion in portions if portion.gone_directory is not None]


async def test_what_is_gone_is_told_file_by_file_and_behind_them_their_directory(site: ScanSite) -> None:
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
async def test_what_cannot_be_looked_at_is_not_gone(site: ScanSite) -> None:
    for name in ("x/a.svs", "y/b.svs"):
        site.write(name)
    await site.take_in()
    (site.root / "x").chmod(0o744)
    (site.root / "y").chmod(0o700)
    with somebody_else(site.root):
        assert gone(list(site.scan.everything())) == ([], [])


@pytest.mark.parametrize("left", [0, 30], ids=["none", "some"])
async def test_of_a_large_directory_what_is_gone_is_found_within_bounded_memory(
    site: ScanSite, monkeypatch: pytest.MonkeyPatch, left: int
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
