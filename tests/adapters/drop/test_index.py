"""Intake's index gives back exactly what it was told, across restarts, and refuses a damaged file instead of guessing."""

from __future__ import annotations

import asyncio
import stat
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.drop.index import SqliteKnownFiles, connect, split
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.drop.scan import TreeScan
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.model.identity import BatchId, PackId, new_batch_id, new_pack_id
from slidekeeper.model.phi import Barcode, FileIdentity, Member, PackFiles, RelativePath, Role

IDENTITY = FileIdentity(10, 20, 30)


def member(path: bytes, role: Role = Role.IMAGE, identity: FileIdentity = IDENTITY) -> Member:
    """One file."""
    return Member(RelativePath(path), role, identity)


def pack(*members: Member, stem: bytes = b"S26-1", drop: str = "one") -> PackFiles:
    """A new pack."""
    chosen = members or (member(b"x/S26-1.jpg", Role.THUMBNAIL), member(b"x/S26-1.svs"))
    return PackFiles(new_pack_id(), drop, new_batch_id(), RelativePath(stem), Barcode(stem.decode("utf-8", "surrogateescape")), chosen)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the index lies."""
    return tmp_path / "intake.sqlite"


@pytest_asyncio.fixture
async def known(file: Path) -> AsyncIterator[SqliteKnownFiles]:
    """An empty index."""
    known = SqliteKnownFiles(file)
    yield known
    await known.close()


async def test_a_remembered_pack_is_found_by_its_id(known: SqliteKnownFiles) -> None:
    remembered = pack()
    await known.remember([remembered])
    assert await known.find(remembered.pack) == remembered


async def test_an_unknown_pack_is_not_found(known: SqliteKnownFiles) -> None:
    assert await known.find(PackId("0" * 16)) is None
    assert await known.find_named("one", b"x", b"S26-1") is None


async def test_a_pack_is_found_by_drop_directory_and_stem(known: SqliteKnownFiles) -> None:
    remembered = pack()
    await known.remember([remembered, pack(member(b"y/S26-1.svs")), pack(drop="two")])
    assert await known.find_named("one", b"x", b"S26-1") == remembered


async def test_of_two_packs_of_one_name_the_newest_is_found(known: SqliteKnownFiles) -> None:
    older, newer = pack(), pack()
    await known.remember([older])
    await known.remember([newer])
    assert await known.find_named("one", b"x", b"S26-1") == newer


async def test_a_pack_remembered_again_has_its_new_files_only(known: SqliteKnownFiles) -> None:
    first = pack()
    again = replace(first, batch=new_batch_id(), members=(member(b"x/S26-1.tif", identity=FileIdentity(1, 2, 3)),))
    await known.remember([first])
    await known.remember([again])
    assert await known.find(first.pack) == again


async def test_a_forgotten_pack_is_gone_with_its_files(known: SqliteKnownFiles, file: Path) -> None:
    forgotten, other = pack(), pack(member(b"y/other.svs"))
    await known.remember([forgotten, other])
    await known.forget(forgotten.pack)
    assert await known.find(forgotten.pack) is None
    connection = connect(file)
    assert connection.execute("SELECT pack FROM files").fetchall() == [(other.pack,)]
    connection.close()


async def test_of_a_forgotten_file_its_pack_stays_as_long_as_it_has_another(known: SqliteKnownFiles) -> None:
    both, other = pack(), pack(member(b"y/other.svs"))
    await known.remember([both, other])
    thumbnail, image = (each.path for each in both.members)
    assert await known.owners("one", [image, RelativePath(b"x/unknown")]) == {image: both.pack}
    await known.forget_files("one", [image])
    found = await known.find(both.pack)
    assert found is not None
    assert [each.path for each in found.members] == [thumbnail]
    await known.forget_files("one", [thumbnail])
    assert await known.find(both.pack) is None
    assert await known.find(other.pack) == other


async def test_packs_are_unannounced_until_the_journal_knows_them(known: SqliteKnownFiles) -> None:
    first, second = pack(), pack(member(b"y/second.svs"))
    await known.remember([first, second])
    await known.announced([first.pack])
    assert await known.unannounced() == [second]


async def test_an_announced_pack_that_changes_stays_announced(known: SqliteKnownFiles) -> None:
    announced = pack()
    await known.remember([announced])
    await known.announced([announced.pack])
    await known.remember([announced])
    assert await known.unannounced() == []


async def test_all_survives_a_restart(file: Path) -> None:
    remembered, batch = pack(), new_batch_id()
    first = SqliteKnownFiles(file)
    await first.remember([remembered])
    await first.begin_batch(batch, "one", b"x")
    await first.note_marker("one", RelativePath(b"x/READY"), IDENTITY)
    await first.close()
    second = SqliteKnownFiles(file)
    assert await second.find(remembered.pack) == remembered
    assert await second.open_batch("one", b"x") == batch
    assert not await second.is_new_marker("one", RelativePath(b"x/READY"), IDENTITY)
    await second.close()


async def test_an_open_batch_is_found_by_its_folder_until_it_ends(known: SqliteKnownFiles) -> None:
    batch, other = BatchId("0" * 12), BatchId("1" * 12)
    await known.begin_batch(batch, "one", b"x")
    await known.begin_batch(other, "one", b"y")
    assert await known.open_batch("one", b"x") == batch
    assert set(await known.open_batches()) == {(batch, "one"), (other, "one")}
    await known.end_batch(batch)
    assert await known.open_batch("one", b"x") is None
    assert await known.open_batches() == [(other, "one")]


async def test_the_batch_after_a_closed_one_is_another(known: SqliteKnownFiles) -> None:
    first, second = new_batch_id(), new_batch_id()
    await known.begin_batch(first, "one", b"x")
    await known.end_batch(first)
    await known.begin_batch(second, "one", b"x")
    assert await known.open_batch("one", b"x") == second


async def test_a_marker_is_new_until_it_is_noted_and_again_when_it_was_rewritten(known: SqliteKnownFiles) -> None:
    marker, rewritten = RelativePath(b"x/READY"), FileIdentity(10, 21, 31)
    assert await known.is_new_marker("one", marker, IDENTITY)
    assert await known.is_new_marker("one", marker, IDENTITY)
    await known.note_marker("one", marker, IDENTITY)
    assert not await known.is_new_marker("one", marker, IDENTITY)
    assert await known.is_new_marker("one", marker, rewritten)


async def test_markers_of_other_folders_are_others(known: SqliteKnownFiles) -> None:
    await known.note_marker("one", RelativePath(b"x/READY"), IDENTITY)
    assert await known.is_new_marker("one", RelativePath(b"y/READY"), IDENTITY)
    assert await known.is_new_marker("two", RelativePath(b"x/READY"), IDENTITY)


async def test_a_failed_write_leaves_nothing_half_done(known: SqliteKnownFiles) -> None:
    good, batch = pack(), new_batch_id()
    await known.begin_batch(batch, "one", b"x")
    with pytest.raises(Refused, match="SQLITE_CONSTRAINT"):
        await known.begin_batch(batch, "one", b"y")
    await known.remember([good])
    assert await known.find(good.pack) == good
    assert await known.open_batches() == [(batch, "one")]


async def test_only_the_service_may_read_the_index(known: SqliteKnownFiles, file: Path) -> None:
    await known.remember([pack()])
    assert {stat.S_IMODE(part.stat().st_mode) for part in file.parent.glob("intake.sqlite*")} == {0o600}


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_index_is_refused_with_a_remedy(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(Refused) as refused:
        connect(file)
    assert refused.value.reason == "intake-index-damaged"
    assert refused.value.remedy


async def test_damage_that_shows_only_in_use_is_told_with_a_remedy_and_without_data(file: Path, tmp_path: Path) -> None:
    known = SqliteKnownFiles(file)
    await known.remember([pack(member(b"x/%d.svs" % number), stem=b"%d" % number) for number in range(1000)])
    await known.close()
    scramble(file)
    damaged = SqliteKnownFiles(file)
    scan = TreeScan(PosixDrop("one", tmp_path), file, ())
    for use in (damaged.unannounced(), damaged.remember([pack()]), asyncio.to_thread(list, scan.look([RelativePath(b"intake.sqlite")]))):
        with pytest.raises(Refused) as refused:
            await use
        assert (refused.value.reason, bool(refused.value.remedy)) == ("intake-index-damaged", True)
    scan.close()
    await damaged.close()


def scramble(file: Path) -> None:
    """Damage every page but the first, which holds the schema."""
    content = file.read_bytes()
    file.write_bytes(content[:4096] + bytes(byte ^ 0x55 for byte in content[4096:]))


def test_a_full_disk_is_not_taken_for_damage(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=False, capture_output=True).returncode:
        pytest.skip("only a root that may mount can fill a disk of its own")
    try:
        (disk / "filler").write_bytes(bytes(60 * 1024))
        with pytest.raises(Unavailable) as full:
            connect(disk / "intake.sqlite")
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    assert (full.value.place, full.value.reason) == ("state", "intake-index")


def test_a_read_only_disk_is_not_taken_for_damage(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False, capture_output=True).returncode:
        pytest.skip("only a root that may mount can make a disk read-only")
    try:
        connect(tmp_path / "intake.sqlite").close()
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        for name in ("intake.sqlite", "never-made.sqlite"):
            with pytest.raises(Unavailable):
                connect(tmp_path / name)
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_missing_folder_is_not_taken_for_damage(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as missing:
        connect(tmp_path / "gone/intake.sqlite")
    assert missing.value.detail == "ENOENT"


names = st.binary(min_size=1, max_size=255).filter(lambda name: not {0, 47} & set(name))


@given(st.lists(names, max_size=3), st.lists(names, min_size=1, max_size=3, unique=True), st.integers(0, 2**62))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_name_comes_back_as_the_bytes_it_was(
    tmp_path_factory: pytest.TempPathFactory, folders: list[bytes], files: list[bytes], number: int
) -> None:
    identity = FileIdentity(number, number, number)
    members = tuple(member(b"/".join([*folders, name]), identity=identity) for name in sorted(files))
    remembered = pack(*members, stem=files[0])
    known = SqliteKnownFiles(tmp_path_factory.mktemp("index") / "intake.sqlite")
    await known.remember([remembered])
    assert await known.find(remembered.pack) == remembered
    assert await known.find_named("one", b"/".join(folders), files[0]) == remembered
    await known.close()


@given(st.lists(names, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_directory_and_name_make_up_the_path(parts: list[bytes]) -> None:
    assert split(RelativePath(b"/".join(parts))) == (b"/".join(parts[:-1]), parts[-1])
