"""A replica's version store holds what the first one held, byte for byte, and never a damaged object."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slidekeeper.adapters.snapshots.posix import PosixSnapshots
from slidekeeper.adapters.snapshots.replicating import ReplicaSnapshots
from slidekeeper.errors import Permanent
from slidekeeper.model.version import RunOfVersion
from slidekeeper.ports.snapshots import Source, VersionLabel


class TwoStores:
    """A store with versions of a growing run, and a replica."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "run"
        (self.run / "deep" / "er").mkdir(parents=True)
        for name in ("bucket", "replica"):
            (folder / name).mkdir()
        self.first = PosixSnapshots(folder / "bucket", folder / "cache.sqlite", immutable=False)
        self.second = ReplicaSnapshots(folder / "replica", self.first, immutable=False)

    def protect(self) -> int:
        """One more version of the run; returns its number."""
        run = RunOfVersion(run="dddddddddddd", name="a", folder=str(self.run))
        label = VersionLabel("gleason", datetime(2026, 11, 24, tzinfo=UTC), "succeeded", "", run, "marker", "default")
        with self.first.begin() as capture:
            capture.take([Source("artifacts", str(self.run))], {"provenance.json": b"{}"}, lambda _path, _folder: False)
            return capture.commit(label).version

    def objects(self, store: PosixSnapshots) -> dict[str, bytes]:
        """Everything but locks and what lies aside."""
        files = [path for path in store.root.rglob("*") if path.is_file() and not path.name.startswith(".")]
        return {str(path.relative_to(store.root)): path.read_bytes() for path in files}


@pytest.fixture
def stores(tmp_path: Path) -> TwoStores:
    stores = TwoStores(tmp_path)
    (stores.run / "model.bin").write_bytes(os.urandom(200_000))
    (stores.run / "deep" / "er" / "small.txt").write_text("small")
    return stores


def test_a_version_is_copied_with_everything_that_it_needs(stores: TwoStores) -> None:
    number = stores.protect()
    stores.second.copy("gleason", number)
    assert stores.objects(stores.second) == stores.objects(stores.first)
    stores.second.check(stores.second.document("gleason", number))
    assert not list((stores.second.root / ".aside").iterdir())


def test_the_next_version_copies_only_what_is_new(stores: TwoStores) -> None:
    stores.second.copy("gleason", stores.protect())
    before = {path: path.stat().st_mtime_ns for path in stores.second.root.rglob("*.json")}
    (stores.run / "deep" / "er" / "more.txt").write_text("more")
    stores.second.copy("gleason", stores.protect())
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert stores.objects(stores.second) == stores.objects(stores.first)


def test_copying_twice_changes_nothing(stores: TwoStores) -> None:
    number = stores.protect()
    stores.second.copy("gleason", number)
    before = stores.objects(stores.second)
    stores.second.copy("gleason", number)
    assert stores.objects(stores.second) == before


def test_a_damaged_blob_does_not_spread_and_its_version_does_not_appear(stores: TwoStores) -> None:
    number = stores.protect()
    [blob] = (stores.first.root / "blobs").glob("*/*")
    blob.chmod(0o644)
    blob.write_bytes(bytes(200_000))
    with pytest.raises(Permanent, match="version-damaged"):
        stores.second.copy("gleason", number)
    assert stores.second.numbers("gleason") == []
    assert not list((stores.second.root / "blobs").glob("*/*"))


def test_a_copy_cannot_be_written_by_accident(stores: TwoStores) -> None:
    stores.second.copy("gleason", stores.protect())
    stored = [path for path in stores.second.root.rglob("*") if path.is_file() and not path.name.startswith(".")]
    assert {path.stat().st_mode & 0o222 for path in stored} == {0}
