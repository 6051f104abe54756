"""A full, read-only, stale or missing bucket is told apart from a bad slide, and nobody but the group can read what is in it."""

from __future__ import annotations

import errno
import io
import os
import pickle
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from slidekeeper.adapters.bucket import large
from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.errors import SlidekeeperError, SourceChanged, SourceUnreadable, Temporary, Unavailable
from slidekeeper.model.splice import Content, Keep, SplicePlan, Zeros
from strangers import needs_root, somebody_else

KEY = "slides/123/123456789012/r1"
MIB = 1024 * 1024


def splice_zeros(bucket: PosixBucket, size: int, name: str = "slide.svs") -> None:
    """Splice ``size`` zero bytes aside."""
    bucket.splice("pack", name, io.BytesIO(), SplicePlan((Zeros(size, "nothing"),)), lambda span, content: None)


def put_slide(bucket: PosixBucket) -> None:
    """Put a small object aside."""
    bucket.put("pack", "slide.json", b"{}")


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("this root may not mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def umask() -> Iterator[None]:
    """The widest mask, so that modes are the bucket's own choice."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("write", [put_slide, lambda bucket: splice_zeros(bucket, 10, "slide.json")], ids=["put", "splice"])
def test_files_are_readable_for_the_group_and_nobody_else(tmp_path: Path, write: Callable[[PosixBucket], None]) -> None:
    bucket = PosixBucket(tmp_path)
    write(bucket)
    bucket.publish("pack", KEY)
    assert stat.S_IMODE((tmp_path / KEY / "slide.json").stat().st_mode) == 0o640


@pytest.mark.usefixtures("umask")
def test_folders_are_open_for_the_group_and_nobody_else(tmp_path: Path) -> None:
    bucket = PosixBucket(tmp_path)
    put_slide(bucket)
    bucket.publish("pack", KEY)
    folders = [folder for folder in tmp_path.rglob("*") if folder.is_dir()]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o750}


def test_a_bucket_can_be_sent_to_a_worker(tmp_path: Path) -> None:
    bucket = PosixBucket(tmp_path, mount=True, reserve_bytes=7)
    assert pickle.loads(pickle.dumps(bucket)) == bucket


def test_what_lies_aside_has_a_local_path(tmp_path: Path) -> None:
    bucket = PosixBucket(tmp_path)
    put_slide(bucket)
    assert bucket.aside_path("pack", "slide.json").read_bytes() == b"{}"


def test_a_probe_leaves_no_file(tmp_path: Path) -> None:
    PosixBucket(tmp_path).probe()
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == []


def test_all_files_and_folders_are_on_the_disk_when_a_put_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[int, int]] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, os.fstat(descriptor).st_size))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    bucket = PosixBucket(tmp_path)
    splice_zeros(bucket, 10, "slide.svs")
    put_slide(bucket)
    for written in (bucket.aside_path("pack", name) for name in ("slide.svs", "slide.json")):
        assert (written.stat().st_ino, written.stat().st_size) in synced
    assert {written.parent.stat().st_ino, written.parents[1].stat().st_ino, tmp_path.stat().st_ino} <= {inode for inode, _ in synced}


def test_a_publication_is_on_the_disk_when_it_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = PosixBucket(tmp_path)
    put_slide(bucket)
    synced: list[int] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        if (tmp_path / KEY).exists():
            synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    bucket.publish("pack", KEY)
    assert set(synced) == {(tmp_path / KEY).parent.stat().st_ino}


def test_a_missing_folder_makes_the_bucket_unavailable(tmp_path: Path) -> None:
    bucket = PosixBucket(tmp_path / "never-made")
    for action in (bucket.probe, lambda: splice_zeros(bucket, 1), lambda: bucket.publish("pack", KEY)):
        with pytest.raises(Unavailable) as away:
            action()
        assert (away.value.place, away.value.reason) == ("bucket", "missing")
    assert not bucket.root.exists()


def test_an_empty_mount_point_is_never_written(tmp_path: Path) -> None:
    bucket = PosixBucket(tmp_path, mount=True)
    for action in (bucket.probe, lambda: splice_zeros(bucket, 1), lambda: bucket.publish("pack", KEY)):
        with pytest.raises(Unavailable) as away:
            action()
        assert away.value.reason == "not-mounted"
    assert list(tmp_path.iterdir()) == []


def test_a_small_object_is_never_put_below_an_empty_mount_point(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        put_slide(PosixBucket(tmp_path, mount=True))


QUESTIONS: dict[str, Callable[[PosixBucket], object]] = {
    "has": lambda bucket: bucket.has(KEY),
    "has_aside": lambda bucket: bucket.has_aside("pack"),
    "asides": lambda bucket: bucket.asides(),
    "discard": lambda bucket: bucket.discard("pack"),
    "read": lambda bucket: bucket.read(f"{KEY}/slide.json"),
    "digest": lambda bucket: bucket.digest(f"{KEY}/slide.json"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_unmounted_bucket_is_not_taken_for_an_empty_one(tmp_path: Path, question: str) -> None:
    with pytest.raises(Unavailable) as away:
        QUESTIONS[question](PosixBucket(tmp_path, mount=True))
    assert away.value.reason == "not-mounted"


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_missing_bucket_is_not_taken_for_an_empty_one(tmp_path: Path, question: str) -> None:
    with pytest.raises(Unavailable) as away:
        QUESTIONS[question](PosixBucket(tmp_path / "never-made"))
    assert away.value.reason == "missing"


@needs_root
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_bucket_that_may_not_be_looked_into_is_not_taken_for_an_empty_one(tmp_path: Path, question: str) -> None:
    bucket = PosixBucket(tmp_path / "bucket")
    bucket.root.mkdir()
    put_slide(bucket)
    bucket.publish("pack", KEY)
    bucket.root.chmod(0o700)
    with somebody_else(tmp_path), pytest.raises(Unavailable) as refused:
        QUESTIONS[question](bucket)
    assert refused.value.reason == "permission"


def test_a_bucket_below_its_reserve_counts_as_full(tmp_path: Path) -> None:
    bucket = PosixBucket(tmp_path, reserve_bytes=2**62)
    for action in (bucket.probe, lambda: splice_zeros(bucket, 1)):
        with pytest.raises(Unavailable) as full:
            action()
        assert full.value.reason == "disk-full"


@needs_root
def test_a_mounted_bucket_with_room_is_used(tmpfs: Path) -> None:
    bucket = PosixBucket(tmpfs, mount=True, reserve_bytes=MIB // 2)
    bucket.probe()
    put_slide(bucket)
    assert bucket.has_aside("pack")


@needs_root
@pytest.mark.parametrize("write", [lambda bucket: splice_zeros(bucket, 2 * MIB), lambda bucket: bucket.put("pack", "big", bytes(2 * MIB))])
def test_a_disk_that_fills_up_makes_the_bucket_unavailable(tmpfs: Path, write: Callable[[PosixBucket], None]) -> None:
    with pytest.raises(Unavailable) as full:
        write(PosixBucket(tmpfs))
    assert (full.value.place, full.value.reason, full.value.detail) == ("bucket", "disk-full", "ENOSPC")


@needs_root
def test_a_full_disk_takes_slides_again_once_the_attempt_is_discarded(tmpfs: Path) -> None:
    bucket = PosixBucket(tmpfs)
    with pytest.raises(Unavailable):
        splice_zeros(bucket, 2 * MIB)
    bucket.discard("pack")
    splice_zeros(bucket, MIB // 2)
    assert bucket.has_aside("pack")


@needs_root
def test_a_read_only_disk_makes_the_bucket_unavailable(tmpfs: Path) -> None:
    bucket = PosixBucket(tmpfs)
    put_slide(bucket)
    subprocess.run(["mount", "-o", "remount,ro", tmpfs], check=True)
    actions = (
        bucket.probe,
        lambda: splice_zeros(bucket, 1),
        lambda: put_slide(bucket),
        lambda: bucket.publish("pack", KEY),
        lambda: bucket.discard("pack"),
    )
    for action in actions:
        with pytest.raises(Unavailable) as away:
            action()
        assert away.value.reason == "read-only"


@needs_root
def test_a_bucket_without_rights_is_unavailable(tmp_path: Path) -> None:
    with somebody_else(tmp_path), pytest.raises(Unavailable) as refused:
        PosixBucket(tmp_path).probe()
    assert refused.value.reason == "permission"


@needs_root
def test_a_bucket_that_cannot_even_be_looked_at_is_unavailable(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "bucket").mkdir(parents=True)
    closed.chmod(0o700)
    with somebody_else(tmp_path), pytest.raises(Unavailable):
        PosixBucket(closed / "bucket").probe()


def test_an_error_that_is_not_the_buckets_is_tried_again_without_naming_a_file(tmp_path: Path) -> None:
    with pytest.raises(Temporary) as trouble:
        PosixBucket(tmp_path).put("pack", "n" * 300, b"")
    assert trouble.value.args == ("bucket-error", "ENAMETOOLONG", "")


def test_publishing_what_was_never_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SlidekeeperError):
        PosixBucket(tmp_path).publish("pack", KEY)


class _BrokenDrop(io.RawIOBase):
    """A source whose file system fails in the middle of a read."""

    def seek(self, offset: int, whence: int = 0) -> int:
        return offset

    def readinto(self, buffer: object) -> int:
        raise OSError(errno.EIO, "Input/output error", "/drop/Doe^Jane.svs")


def test_a_drop_folder_that_fails_under_a_read_is_not_the_buckets_trouble(tmp_path: Path) -> None:
    plan = SplicePlan((Keep(0, 10, Content.CODED, "pixels"),))
    with pytest.raises(SourceUnreadable) as trouble:
        PosixBucket(tmp_path).splice("pack", "slide.svs", cast("BinaryIO", _BrokenDrop()), plan, lambda span, content: None)
    assert (trouble.value.reason, trouble.value.number) == ("drop-error", errno.EIO)
    assert trouble.value.__suppress_context__


def _failing_with(number: int) -> Callable[..., int]:
    """A system call that always fails."""

    def fail(*_: object) -> int:
        raise OSError(number, os.strerror(number), "/drop/Doe^Jane.svs")

    return fail


@pytest.mark.parametrize("number", [errno.EIO, errno.EXDEV], ids=["copied within a file system", "copied between two"])
def test_a_drop_folder_that_fails_under_the_kernels_copy_is_not_the_buckets_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "copy_file_range", _failing_with(number))
    monkeypatch.setattr(os, "sendfile", _failing_with(errno.EIO))
    monkeypatch.setattr(os, "pread", _failing_with(errno.EIO))
    original = tmp_path / "original"
    original.write_bytes(bytes(10 * MIB))
    plan = SplicePlan((Keep(0, 10 * MIB, Content.CODED, "pixels"),))
    with original.open("rb", buffering=0) as source, pytest.raises(SourceUnreadable) as trouble:
        PosixBucket(tmp_path).splice("pack", "slide.svs", source, plan, lambda span, content: None)  # type: ignore[arg-type]
    assert (trouble.value.reason, trouble.value.number) == ("drop-error", errno.EIO)


def test_a_small_object_goes_into_the_reserve(tmp_path: Path) -> None:
    put_slide(PosixBucket(tmp_path, reserve_bytes=2**62))


def test_a_source_that_shrinks_under_the_splice_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LEAD_WINDOWS", 1)
    original = tmp_path / "original"
    original.write_bytes(bytes(40 * MIB))

    def shrink(span: memoryview, content: Content) -> None:
        os.truncate(original, 5 * MIB)

    with original.open("rb", buffering=0) as source, pytest.raises(SourceChanged):
        plan = SplicePlan((Keep(0, 40 * MIB, Content.CODED, "pixels"),))
        PosixBucket(tmp_path).splice("pack", "slide.svs", source, plan, shrink)  # type: ignore[arg-type]
