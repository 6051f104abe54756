"""What goes into the version store comes out again, once stored is never stored twice, and nothing that is stored changes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.snapshots.capturing import contents, keys, label, make_store, on_disk, protect, strays
from slidekeeper.adapters.snapshots.posix import PosixSnapshots
from slidekeeper.errors import Permanent, Refused, Temporary, Unavailable
from slidekeeper.model.tree import FileEntry
from slidekeeper.model.version import parse_reference
from slidekeeper.ports.snapshots import Source

LARGE = 70_000
HOUR_AGO = (1_700_000_000, 1_700_000_000)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of small and large files."""
    folder = tmp_path / "run"
    (folder / "logs").mkdir(parents=True)
    (folder / "model.bin").write_bytes(os.urandom(9_000_001))
    (folder / "logs" / "loss.csv").write_text("epoch,loss\n1,0.5\n")
    (folder / "logs" / "empty").touch()
    (folder / "latest").symlink_to("logs/loss.csv")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> PosixSnapshots:
    """An empty store."""
    return make_store(tmp_path)


NAMES = st.binary(min_size=1, max_size=12).filter(lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b".."))
FILES = st.one_of(st.binary(max_size=50), st.integers(65_500, 65_600).map(lambda size: b"x" * size))
TREES = st.recursive(FILES, lambda inner: st.dictionaries(NAMES, inner, max_size=5), max_leaves=15)


def write(folder: bytes, tree: dict[bytes, object]) -> None:
    """Put a random tree into a folder."""
    for name, what in tree.items():
        path = os.path.join(folder, name)
        if isinstance(what, dict):
            os.mkdir(path)
            write(path, what)
        else:
            Path(os.fsdecode(path)).write_bytes(what)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(NAMES, TREES, max_size=6))
def test_any_tree_comes_out_as_it_went_in(tree: dict[bytes, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run")
        run.mkdir()
        write(os.fsencode(run), tree)
        store = make_store(Path(folder))
        document = protect(store, run)
        assert contents(store, document) == on_disk(run)
        assert not strays(store)
        assert [damage for key in keys(store) if (damage := store.verify(key))] == []
        store.check(document)


def test_sha256sum_unzip_and_json_are_enough_to_read_a_version(store: PosixSnapshots, run: Path) -> None:
    protect(store, run)
    version = json.loads((store.root / "versions/gleason/1.json").read_text())

    def tree(digest: str) -> dict[str, object]:
        return json.loads((store.root / f"trees/{digest[:2]}/{digest}.json").read_text())  # type: ignore[no-any-return]

    def find(above: dict[str, object], name: str) -> dict[str, str]:
        return next(entry for entry in above["entries"] if entry.get("name") == name)  # type: ignore[attr-defined,no-any-return]

    artifacts = tree(find(tree(version["tree"]), "artifacts")["tree"])
    model = find(artifacts, "model.bin")["sha256"]
    summed = subprocess.run(["sha256sum", store.root / f"blobs/{model[:2]}/{model}"], capture_output=True, text=True, check=True).stdout
    assert summed.startswith(model)
    logs = tree(find(artifacts, "logs")["tree"])
    loss = find(logs, "loss.csv")
    pack = logs["packs"][loss["pack"]]  # type: ignore[index]
    unzip = ["unzip", "-p", store.root / f"packs/{pack[:2]}/{pack}.zip", loss["sha256"]]
    assert subprocess.run(unzip, capture_output=True, check=True).stdout == (run / "logs/loss.csv").read_bytes()
    whole = subprocess.run(["unzip", "-tq", store.root / f"packs/{pack[:2]}/{pack}.zip"], capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stdout
    unsealed = 'sed \'s/"digest": "[0-9a-f]*"$/"digest": ""/\' versions/gleason/1.json | sha256sum'
    assert (
        subprocess.run(["sh", "-c", unsealed], cwd=store.root, capture_output=True, text=True, check=True).stdout[:64] == version["digest"]
    )
    assert "sha256sum" in (store.root / "README.txt").read_text()


def test_an_unchanged_run_adds_nothing_but_its_document(store: PosixSnapshots, run: Path) -> None:
    for path in run.rglob("*"):
        os.utime(path, HOUR_AGO, follow_symlinks=False)
    first = protect(store, run)
    before = keys(store)
    second = protect(store, run)
    assert (second.tree, second.added, second.size) == (first.tree, 0, first.size)
    assert sorted(set(keys(store)) - set(before)) == ["versions/gleason/2.json"]


def test_equal_content_is_stored_once_across_projects_without_any_cache(store: PosixSnapshots, run: Path, tmp_path: Path) -> None:
    first = protect(store, run)
    shutil.copytree(run, tmp_path / "copy", symlinks=True)
    for path in tmp_path.glob("snapshots.sqlite*"):
        path.unlink()
    assert first.added > 0
    assert protect(store, tmp_path / "copy", "other").added == 0


@pytest.mark.parametrize("damage", [b"", b"not a database at all, though long enough to be looked at" * 100])
def test_a_damaged_cache_costs_time_only(store: PosixSnapshots, run: Path, tmp_path: Path, damage: bytes) -> None:
    first = protect(store, run)
    (tmp_path / "snapshots.sqlite").write_bytes(damage)
    assert protect(store, run).tree == first.tree


def test_what_the_cache_knows_but_the_store_lost_is_stored_again(store: PosixSnapshots, run: Path) -> None:
    document = protect(store, run)
    for key in keys(store):
        if not key.startswith("versions"):
            (store.root / key).unlink()
    with pytest.raises(Permanent, match="version-damaged"):
        store.check(document)
    store.check(protect(store, run))


def test_a_file_that_changed_in_place_is_read_again(store: PosixSnapshots, run: Path) -> None:
    protect(store, run)
    with (run / "model.bin").open("r+b") as stream:
        stream.write(b"other")
    os.utime(run / "model.bin", HOUR_AGO)
    assert contents(store, protect(store, run)) == on_disk(run)


def test_everything_stored_is_read_only(store: PosixSnapshots, run: Path) -> None:
    protect(store, run)
    kinds = [store.root / kind for kind in ("blobs", "packs", "trees", "versions")]
    modes = {stat.S_IMODE(path.stat().st_mode) for kind in kinds for path in (kind, *kind.rglob("*"))}
    assert modes == {0o444, 0o555}


def test_versions_of_many_at_once_get_numbers_without_gaps(store: PosixSnapshots, run: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        documents = list(pool.map(lambda _: protect(store, run), range(6)))
    assert sorted(document.version for document in documents) == [1, 2, 3, 4, 5, 6]
    assert store.numbers("gleason") == [1, 2, 3, 4, 5, 6]
    assert not strays(store)


def test_what_is_no_file_is_listed_and_told(store: PosixSnapshots, run: Path) -> None:
    os.mkfifo(run / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(run / "socket"))
        os.link(run / "model.bin", run / "hard")
        document = protect(store, run)
    found = contents(store, document)
    assert (found[b"artifacts/pipe"], found[b"artifacts/socket"], document.missing) == ("fifo", "socket", 2)
    assert found[b"artifacts/hard"] == found[b"artifacts/model.bin"]


def test_a_sparse_file_stays_sparse(store: PosixSnapshots, run: Path) -> None:
    with (run / "sparse").open("wb") as stream:
        stream.seek(200_000_000)
        stream.write(b"the end")
        stream.truncate(300_000_001)
    document = protect(store, run)
    entry = next(each.entry for each in store.walk(document.tree) if each.path == b"artifacts/sparse")
    assert isinstance(entry, FileEntry)
    blob = store.root / f"blobs/{entry.sha256[:2]}/{entry.sha256}"
    assert (blob.stat().st_size, blob.stat().st_blocks * 512 < 1_000_000) == (300_000_001, True)
    assert store.verify(str(blob.relative_to(store.root))) is None


def test_links_are_kept_and_never_followed(store: PosixSnapshots, run: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not yours")
    (run / "logs" / "way-out").symlink_to(tmp_path)
    found = contents(store, protect(store, run))
    assert found[b"artifacts/logs/way-out"] == str(tmp_path)
    assert not [path for path in found if b"secret" in path]
    (tmp_path / "linked").symlink_to(run)
    with store.begin() as capture, pytest.raises(Permanent, match="run-vanished"):
        capture.take([Source("artifacts", str(tmp_path), "linked/logs")], {}, lambda path, is_folder: False)


def test_a_run_that_changes_while_it_is_read_is_no_version(store: PosixSnapshots, run: Path) -> None:
    def write_meanwhile(path: bytes, is_folder: bool) -> bool:
        if path == b"logs/loss.csv":
            (run / "logs" / "late.txt").write_text("still here")
        return False

    with pytest.raises(Temporary, match="run-changed"):
        protect(store, run, leaves_out=write_meanwhile)
    assert (keys(store), strays(store)) == ([], [])


def test_a_run_that_is_gone_says_so(store: PosixSnapshots, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="run-vanished"):
        protect(store, tmp_path / "nothing")


def test_folders_without_end_are_refused(store: PosixSnapshots, run: Path) -> None:
    (run / ("d/" * 300)).mkdir(parents=True)
    with pytest.raises(Permanent, match="run-too-deep"):
        protect(store, run)
    assert not strays(store)


def test_a_bucket_that_is_full_or_gone_suspends(run: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="disk-full"):
        protect(make_store(tmp_path, reserve_bytes=1 << 60), run)
    store = make_store(tmp_path)
    (tmp_path / "bucket").rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="missing"):
        protect(store, run)
    with pytest.raises(Unavailable, match="missing"):
        store.projects()


@pytest.mark.parametrize("kind", ["blobs", "packs", "trees", "versions"])
def test_a_flipped_bit_is_found_wherever_it_is(store: PosixSnapshots, run: Path, kind: str) -> None:
    protect(store, run)
    key = next(key for key in keys(store) if key.startswith(kind))
    path = store.root / key
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    damage = store.verify(key)
    assert damage is not None
    assert damage.reason == "changed"


def test_versions_are_found_by_number_run_and_as_the_newest(store: PosixSnapshots, run: Path) -> None:
    for _ in range(3):
        protect(store, run)
    assert [store.find(parse_reference(text)).version for text in ("gleason", "gleason@v2", "gleason@night-1")] == [3, 2, 3]
    for text, reason in (("other", "unknown-project"), ("gleason@v9", "unknown-version"), ("gleason@day", "unknown-version")):
        with pytest.raises(Refused, match=reason):
            store.find(parse_reference(text))
    assert store.projects() == ["gleason"]


def test_a_capture_that_is_not_committed_leaves_nothing(store: PosixSnapshots, run: Path) -> None:
    with store.begin() as capture:
        capture.take([Source("artifacts", str(run))], {}, lambda path, is_folder: False)
    assert (keys(store), strays(store), label().project) == ([], [], "gleason")
