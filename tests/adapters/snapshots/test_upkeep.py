"""The store's objects are listed in order, examined, healed from a replica, and removed, and nothing else is touched."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from pathlib import Path

import pytest

from slidekeeper.adapters.snapshots.sealing import unseal
from slidekeeper.adapters.snapshots.upkeep import PosixUpkeep
from slidekeeper.ports.snapshots import Damage
from writers.versions import VersionWriter


@pytest.fixture
def store(tmp_path: Path) -> VersionWriter:
    folder = tmp_path / "version"
    folder.mkdir()
    (folder / "large").write_bytes(os.urandom(200_000))
    (folder / "small").write_text("x")
    writer = VersionWriter(tmp_path / "bucket")
    writer.write("liver", folder)
    shutil.copytree(writer.bucket, tmp_path / "replica")
    return writer


def upkeep(store: VersionWriter, *replicas: Path) -> PosixUpkeep:
    return PosixUpkeep(store.bucket, replicas or [store.bucket.with_name("replica")], immutable=False)


def keys(store: VersionWriter, after: str = "") -> list[str]:
    return [stored.key for stored in upkeep(store).objects(after)]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)


def test_objects_come_by_key_and_go_on_behind_one(store: VersionWriter) -> None:
    every = keys(store)
    assert every == sorted([*store.written, "versions/liver/1.json"])
    assert all(keys(store, after=key) == every[index + 1 :] for index, key in enumerate(every))


def test_every_kind_of_object_is_examined(store: VersionWriter) -> None:
    read: list[int] = []
    assert all(upkeep(store).check(key, read.append) is None for key in keys(store))
    assert sum(read) > 200_000
    for key in keys(store):
        flip(store.root / key)
        assert upkeep(store).check(key, read.append) == Damage(key, "changed")


def test_a_link_is_no_object(store: VersionWriter, tmp_path: Path) -> None:
    key = keys(store)[0]
    (store.root / key).rename(tmp_path / "elsewhere")
    (store.root / key).symlink_to(tmp_path / "elsewhere")
    assert upkeep(store).check(key, lambda _: None) == Damage(key, "unreadable")


def test_what_is_damaged_or_missing_is_healed(store: VersionWriter) -> None:
    for key in keys(store):
        flip(store.root / key)
        assert upkeep(store).heal(key)
        upkeep(store).remove(key)
        assert upkeep(store).heal(key)
        assert upkeep(store).check(key, lambda _: None) is None
        assert stat.S_IMODE((store.root / key).stat().st_mode) == 0o444
    assert list((store.root / ".aside").iterdir()) == []


def test_a_damaged_replica_heals_nothing_and_the_next_is_asked(store: VersionWriter, tmp_path: Path) -> None:
    key = keys(store)[0]
    sound = (store.root / key).read_bytes()
    flip(store.root / key)
    shutil.copytree(tmp_path / "replica", tmp_path / "second")
    flip(tmp_path / "replica" / "protected" / key)
    assert not upkeep(store).heal(key)
    assert not PosixUpkeep(store.bucket, immutable=False).heal(key)
    assert upkeep(store, tmp_path / "replica", tmp_path / "second").heal(key)
    assert (store.root / key).read_bytes() == sound


def test_removal_takes_one_object_and_is_done_twice_like_once(store: VersionWriter) -> None:
    every = keys(store)
    upkeep(store).remove(every[0])
    upkeep(store).remove(every[0])
    assert keys(store) == every[1:]


def test_nobody_sweeps_while_something_is_added(store: VersionWriter) -> None:
    with (store.root / ".lock").open("w") as adding:
        fcntl.flock(adding, fcntl.LOCK_SH)
        with upkeep(store).sweeping() as alone:
            assert not alone
    with upkeep(store).sweeping() as alone:
        assert alone


def test_what_is_sealed_is_healed_and_sealed_again(store: VersionWriter) -> None:
    key = keys(store)[0]
    sealed = PosixUpkeep(store.bucket, [store.bucket.with_name("replica")])
    flip(store.root / key)
    assert sealed.heal(key)
    assert sealed.heal(key)
    sealed.remove(key)
    assert not sealed.has(key)
    unseal((store.root / key).parent)
