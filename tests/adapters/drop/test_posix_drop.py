"""A drop folder that is not there is told apart from an empty one, and only the very file that settled is ever opened or deleted."""

from __future__ import annotations

import errno
import os
import pickle
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.errors import Permanent, SourceChanged, SourceUnreadable, Temporary, Unavailable
from slidekeeper.model.phi import FileIdentity, Member, RelativePath, Role
from strangers import needs_root, somebody_else

CONTENT = b"the slide"


@pytest.fixture
def drop(tmp_path: Path) -> PosixDrop:
    """A drop folder that holds ``x/a.svs``."""
    (tmp_path / "drop/x").mkdir(parents=True)
    (tmp_path / "drop/x/a.svs").write_bytes(CONTENT)
    return PosixDrop("one", tmp_path / "drop")


def settled(drop: PosixDrop, path: bytes = b"x/a.svs") -> Member:
    """The member as it is now."""
    identity = drop.identify(RelativePath(path))
    assert identity
    return Member(RelativePath(path), Role.IMAGE, identity)


def test_a_folder_that_is_there_is_available(drop: PosixDrop) -> None:
    drop.check_available()


def test_a_missing_folder_is_unavailable_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as away:
        PosixDrop("one", tmp_path / "never").check_available()
    assert (away.value.place, away.value.reason, away.value.detail) == ("drop:one", "unreachable", "ENOENT")


def test_a_file_in_the_folders_place_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as away:
        PosixDrop("one", tmp_path / "file").check_available()
    assert away.value.reason == "no-folder"


def test_an_empty_mount_point_is_unavailable(drop: PosixDrop) -> None:
    with pytest.raises(Unavailable) as away:
        PosixDrop("one", drop.root, mount=True).check_available()
    assert away.value.reason == "not-mounted"


@needs_root
def test_a_mounted_folder_is_available(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", tmp_path], check=False, capture_output=True).returncode:
        pytest.skip("this root may not mount")
    try:
        PosixDrop("one", tmp_path, mount=True).check_available()
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_folder_without_its_sentinel_is_unavailable_until_it_is_restored(drop: PosixDrop) -> None:
    guarded = PosixDrop("one", drop.root, sentinel=".slidekeeper")
    with pytest.raises(Unavailable) as away:
        guarded.check_available()
    assert away.value.reason == "no-sentinel"
    (drop.root / ".slidekeeper").touch()
    guarded.check_available()


@needs_root
def test_a_folder_that_may_be_entered_but_not_listed_is_unavailable(drop: PosixDrop) -> None:
    drop.root.chmod(0o711)
    with somebody_else(drop.root.parent), pytest.raises(Unavailable) as away:
        drop.check_available()
    assert (away.value.reason, away.value.detail) == ("unreachable", "EACCES")


@needs_root
def test_a_folder_that_may_not_be_entered_is_unavailable(drop: PosixDrop) -> None:
    drop.root.chmod(0o700)
    with somebody_else(drop.root.parent), pytest.raises(Unavailable) as away:
        PosixDrop("one", drop.root, sentinel=".slidekeeper").check_available()
    assert (away.value.place, away.value.reason, away.value.detail) == ("drop:one", "unreachable", "EACCES")


def test_a_drop_can_be_sent_to_a_worker(drop: PosixDrop) -> None:
    assert pickle.loads(pickle.dumps(drop)) == drop


def test_the_file_that_settled_is_opened(drop: PosixDrop) -> None:
    with drop.open(settled(drop)) as stream:
        assert stream.read() == CONTENT


@pytest.mark.parametrize("name", [b"\xff\xfe.svs", b"new\nline.svs", b"n" * 255])
def test_a_file_of_any_name_is_opened(drop: PosixDrop, name: bytes) -> None:
    (drop.root / os.fsdecode(name)).write_bytes(CONTENT)
    with drop.open(settled(drop, name)) as stream:
        assert stream.read() == CONTENT


def _rewrite(file: Path) -> None:
    before = file.stat()
    file.write_bytes(CONTENT.upper())
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(file: Path) -> None:
    (file.parent / "new").write_bytes(CONTENT)
    (file.parent / "new").rename(file)


def _link_file(file: Path) -> None:
    file.rename(file.with_name("moved"))
    file.symlink_to("moved")


def _link_folder(file: Path) -> None:
    file.parent.rename(file.parent.with_name("moved"))
    file.parent.symlink_to("moved")


def _make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _make_socket(file: Path) -> None:
    file.unlink()
    with socket.socket(socket.AF_UNIX) as server:
        before = Path.cwd()
        os.chdir(file.parent)  # a socket's path may have 107 bytes only
        try:
            server.bind(file.name)
        finally:
            os.chdir(before)


def _make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


CHANGES: dict[str, Callable[[Path], None]] = {
    "grown": lambda file: file.write_bytes(CONTENT * 2),
    "rewritten with its old time": _rewrite,
    "replaced": _replace,
    "deleted": lambda file: file.unlink(),
    "a link": _link_file,
    "below a link": _link_folder,
    "a pipe": _make_pipe,
    "a socket": _make_socket,
    "a folder": _make_folder,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_since_it_settled_is_not_opened(drop: PosixDrop, change: str) -> None:
    member = settled(drop)
    CHANGES[change](drop.root / "x/a.svs")
    with pytest.raises(SourceChanged), drop.open(member):
        pass


@pytest.mark.parametrize("change", [change for change in CHANGES if change != "deleted"])
def test_a_file_that_changed_since_it_settled_is_not_deleted(drop: PosixDrop, change: str) -> None:
    member = settled(drop)
    CHANGES[change](drop.root / "x/a.svs")
    drop.delete(member)
    assert os.path.lexists(drop.root / "x/a.svs")


def test_the_file_that_settled_is_deleted_and_its_neighbours_stay(drop: PosixDrop) -> None:
    (drop.root / "x/b.svs").write_bytes(b"other")
    drop.delete(settled(drop))
    assert [file.name for file in (drop.root / "x").iterdir()] == ["b.svs"]


def test_deleting_what_is_gone_is_no_error(drop: PosixDrop) -> None:
    member = settled(drop)
    drop.delete(member)
    drop.delete(member)
    assert drop.identify(member.path) is None


@needs_root
def test_a_file_that_may_not_be_read_or_deleted_is_a_permanent_error(drop: PosixDrop) -> None:
    (drop.root / "x/a.svs").chmod(0o600)
    member = settled(drop)
    with somebody_else(drop.root.parent):
        with pytest.raises(Permanent) as unreadable, drop.open(member):
            pass
        with pytest.raises(Permanent) as undeletable:
            drop.delete(member)
    assert (unreadable.value.reason, undeletable.value.reason) == ("unreadable", "permission")


@needs_root
def test_a_file_in_a_folder_that_may_not_be_entered_is_unreadable_and_undeletable(drop: PosixDrop) -> None:
    member = settled(drop)
    (drop.root / "x").chmod(0o700)
    with somebody_else(drop.root.parent):
        with pytest.raises(Permanent) as unseen:
            drop.see(member.path)
        with pytest.raises(Permanent) as undeletable:
            drop.delete(member)
    assert (unseen.value.reason, undeletable.value.reason) == ("unreadable", "permission")
    assert (drop.root / "x/a.svs").exists()


LOST = [errno.ESTALE, errno.ENOTCONN, errno.EIO, errno.ETIMEDOUT]


def failing_with(number: int) -> Callable[..., Any]:
    """A system call that fails as it does on a lost share; its text names a patient's file."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/drop/Doe^Jane.svs")

    return fail


@pytest.mark.parametrize("number", LOST, ids=errno.errorcode.get)
def test_a_mount_that_is_lost_while_a_file_is_read_makes_the_folder_unavailable(drop: PosixDrop, number: int) -> None:
    for trouble in (failing_with(number), partial(_raise, SourceUnreadable(number))):
        with pytest.raises(Unavailable) as away, drop.open(settled(drop)):
            trouble()
        assert (away.value.place, away.value.detail) == ("drop:one", errno.errorcode[number])
        assert "Doe" not in str(away.value)
        assert away.value.__suppress_context__


@pytest.mark.parametrize("number", LOST, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["open", "stat", "unlink"])
def test_a_lost_mount_makes_the_folder_unavailable(drop: PosixDrop, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    member = settled(drop)
    monkeypatch.setattr(os, call, failing_with(number))
    with pytest.raises(Unavailable) as away:
        drop.delete(member)
    assert away.value.place == "drop:one"


def test_any_other_trouble_of_reading_is_tried_again(drop: PosixDrop) -> None:
    with pytest.raises(Temporary, match="ENOMEM"), drop.open(settled(drop)):
        failing_with(errno.ENOMEM)()


def _raise(trouble: Exception) -> None:
    raise trouble


def test_a_folder_is_told_from_a_file_and_a_link(drop: PosixDrop) -> None:
    (drop.root / "x/y").mkdir()
    (drop.root / "link").symlink_to("x")
    folders = [path for path in (b"x", b"x/y", b"x/a.svs", b"link", b"link/y", b"gone") if drop.is_folder(RelativePath(path))]
    assert folders == [b"x", b"x/y"]


def test_errors_name_no_file(drop: PosixDrop) -> None:
    gone = Member(RelativePath(b"Doe^Jane/S26-1.svs"), Role.IMAGE, FileIdentity(1, 1, 1))
    with pytest.raises(SourceChanged) as changed, drop.open(gone):
        pass
    assert not {"Doe", "S26"} & set(str(changed.value).replace("/", " ").replace("^", " ").split())
    assert changed.value.__cause__ is None
    assert changed.value.__suppress_context__


def test_a_file_is_seen_with_identity_and_links(drop: PosixDrop) -> None:
    os.link(drop.root / "x/a.svs", drop.root / "second")
    seen, status = drop.see(RelativePath(b"x/a.svs")), (drop.root / "x/a.svs").stat()
    assert seen
    assert (seen.special, seen.links) == ("", 2)
    assert seen.identity == FileIdentity(len(CONTENT), status.st_mtime_ns, status.st_ctime_ns)


@pytest.mark.parametrize(("change", "kind"), [("a link", "symlink"), ("a pipe", "fifo"), ("a socket", "socket"), ("a folder", "device")])
def test_what_is_no_file_is_seen_as_what_it_is(drop: PosixDrop, change: str, kind: str) -> None:
    CHANGES[change](drop.root / "x/a.svs")
    seen = drop.see(RelativePath(b"x/a.svs"))
    assert seen
    assert seen.special == kind


@pytest.mark.parametrize("path", [b"gone", b"gone/a.svs", b"x/a.svs/below"])
def test_what_is_not_there_is_not_seen(drop: PosixDrop, path: bytes) -> None:
    assert drop.see(RelativePath(path)) is None
    assert drop.identify(RelativePath(path)) is None


def test_what_lies_behind_a_link_to_a_folder_is_not_seen(drop: PosixDrop) -> None:
    (drop.root / "link").symlink_to("x")
    assert drop.see(RelativePath(b"link/a.svs")) is None


def test_a_file_that_is_gone_or_special_is_not_being_written(drop: PosixDrop) -> None:
    os.mkfifo(drop.root / "pipe")
    assert not drop.is_being_written(RelativePath(b"gone"))
    assert not drop.is_being_written(RelativePath(b"pipe"))
    assert not drop.is_being_written(RelativePath(b"x"))


def test_a_file_that_is_open_for_writing_is_being_written(drop: PosixDrop) -> None:
    path = RelativePath(b"x/a.svs")
    with (drop.root / "x/a.svs").open("ab"):
        if not drop.is_being_written(path):
            pytest.skip("this file system knows no leases")
    assert not drop.is_being_written(path)


def test_no_descriptor_stays_open(drop: PosixDrop) -> None:
    member = settled(drop)
    CHANGES["replaced"](drop.root / "x/a.svs")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        drop.see(member.path)
        drop.is_being_written(member.path)
        with pytest.raises(SourceChanged), drop.open(member):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before
