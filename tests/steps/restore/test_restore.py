"""What is restored equals what was protected; nothing else is touched; damage is healed from a replica or named."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.errors import Permanent, Refused
from slidekeeper.model.stored import blob_key
from slidekeeper.model.tree import FileEntry, SymlinkEntry
from slidekeeper.model.version import VersionDocument
from slidekeeper.steps.restore.plan import Totals
from slidekeeper.steps.restore.restore import Restored, Watch, Wish, restore
from slidekeeper.steps.restore.target import aside_name
from writers.versions import VersionWriter

MEGABYTE = 1 << 20


@dataclass
class Site:
    """A run's folder, protected."""

    folder: Path
    writer: VersionWriter
    document: VersionDocument
    told: list[int] = field(default_factory=list)

    @property
    def store(self) -> PosixVersions:
        return PosixVersions(self.writer.bucket)

    def restore(self, wish: Wish, stores: Sequence[PosixVersions] = ()) -> Restored:
        return restore(self.document, stores or [self.store], wish, Watch(self._begin, self.told.append))

    def _begin(self, totals: Totals) -> None:
        self.totals = totals

    def blob_of(self, name: str) -> Path:
        """Where the content of a large file lies in the store."""
        [found] = [
            e.entry for e in self.store.walk(self.document.tree) if e.path.endswith(name.encode()) and isinstance(e.entry, FileEntry)
        ]
        return self.writer.root / blob_key(found.sha256)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "version"
    for path, data in {
        b"artifacts/model.pt": os.urandom(MEGABYTE),
        b"artifacts/logs/\xff\n": b"named badly",
        b"artifacts/logs/empty": b"",
        b"artifacts/same": b"named badly",
        b"code/train.py": b"print()",
        b"provenance.json": b"{}",
    }.items():
        place = Path(os.fsdecode(os.fsencode(folder) + b"/" + path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (folder / "code" / "link").symlink_to("/etc/passwd")
    (folder / "artifacts" / "nothing").mkdir()
    os.mkfifo(folder / "artifacts" / "pipe")
    (folder / "code" / "train.py").chmod(0o640)
    (folder / "artifacts" / "logs").chmod(0o555)
    for at, folders, files in os.walk(folder, topdown=False):
        for name in [*folders, *files]:
            os.utime(Path(at) / name, ns=(1, 1_600_000_000_123_456_789), follow_symlinks=False)
    writer = VersionWriter(tmp_path / "bucket")
    yield Site(folder, writer, writer.write("liver", folder))
    (folder / "artifacts" / "logs").chmod(0o755)


def looks(folder: Path) -> dict[str, object]:
    """Everything that has to come back, by path."""
    found = {}
    for at, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(at) / name
            facts = path.lstat()
            content = path.readlink() if path.is_symlink() else path.read_bytes() if stat.S_ISREG(facts.st_mode) else None
            mode = None if path.is_symlink() else stat.S_IMODE(facts.st_mode)
            found[str(path.relative_to(folder))] = (mode, facts.st_mtime_ns, content)
    return found


def test_bytes_modes_times_and_links_come_back(site: Site, tmp_path: Path) -> None:
    done = site.restore(Wish(tmp_path / "out"))
    expected = looks(site.folder)
    del expected["artifacts/pipe"]
    assert looks(tmp_path / "out") == expected
    assert (done.files, done.links, done.missing, done.complete) == (6, 1, [b"artifacts/pipe"], True)
    assert sum(site.told) == site.totals.size == site.document.size


def test_one_file_leaves_the_rest_unopened(site: Site, tmp_path: Path) -> None:
    shutil.rmtree(site.writer.root / "packs")
    done = site.restore(Wish(tmp_path / "out", paths=("artifacts/*.pt",)))
    assert done.files == 1
    assert sorted(looks(tmp_path / "out")) == ["artifacts", "artifacts/model.pt"]


def test_code_only_becomes_the_target_itself(site: Site, tmp_path: Path) -> None:
    site.restore(Wish(tmp_path / "out", part="code"))
    assert looks(tmp_path / "out") == looks(site.folder / "code")


def test_a_path_that_is_not_there_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no-such-path"):
        site.restore(Wish(tmp_path / "out", paths=("artifacts/typo",)))


def test_nothing_is_overwritten_unless_told(site: Site, tmp_path: Path) -> None:
    (tmp_path / "out" / "code").mkdir(parents=True)
    mine = tmp_path / "out" / "code" / "train.py"
    mine.write_text("mine")
    with pytest.raises(Refused, match="would-overwrite"):
        site.restore(Wish(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["code", "train.py"]
    site.restore(Wish(tmp_path / "out", overwrite=True))
    assert mine.read_text() == "print()"


def test_an_interrupted_restore_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    site.restore(Wish(tmp_path / "out"))
    (tmp_path / "out" / "provenance.json").unlink()
    half = tmp_path / "out" / os.fsdecode(aside_name(b"provenance.json"))
    half.write_text("ha")
    model = (tmp_path / "out" / "artifacts" / "model.pt").stat().st_ino
    done = site.restore(Wish(tmp_path / "out"))
    assert (done.files, done.verified) == (1, 5)
    assert not half.exists()
    assert (tmp_path / "out" / "artifacts" / "model.pt").stat().st_ino == model


def test_what_only_looks_restored_is_told(site: Site, tmp_path: Path) -> None:
    site.restore(Wish(tmp_path / "out"))
    model = tmp_path / "out" / "artifacts" / "model.pt"
    facts = model.stat()
    flip(model)
    os.utime(model, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert site.restore(Wish(tmp_path / "out")).differing == [b"artifacts/model.pt"]
    assert site.restore(Wish(tmp_path / "out", overwrite=True)).complete
    assert model.read_bytes() == (site.folder / "artifacts" / "model.pt").read_bytes()


def test_a_flipped_byte_is_named_and_no_file_is_made_of_it(site: Site, tmp_path: Path) -> None:
    flip(site.blob_of("model.pt"))
    done = site.restore(Wish(tmp_path / "out"))
    assert done.damaged == [b"artifacts/model.pt"]
    assert not (tmp_path / "out" / "artifacts" / "model.pt").exists()
    assert not list((tmp_path / "out").rglob(".restoring*"))


def test_a_replica_helps_out(site: Site, tmp_path: Path) -> None:
    shutil.copytree(site.writer.bucket, tmp_path / "replica")
    flip(site.blob_of("model.pt"))
    for tree in (site.writer.root / "trees").rglob("*.json"):
        flip(tree)
    for pack in (site.writer.root / "packs").rglob("*.zip"):
        pack.unlink()
    done = site.restore(Wish(tmp_path / "out"), [site.store, PosixVersions(tmp_path / "replica")])
    assert done.complete
    assert looks(tmp_path / "out").keys() == looks(site.folder).keys() - {"artifacts/pipe"}


def test_a_rollback_keeps_what_it_replaces_until_it_succeeded(site: Site, tmp_path: Path) -> None:
    place = tmp_path / "out"
    place.mkdir()
    (place / "notes").write_text("of the last run")
    blob = site.blob_of("model.pt")
    flip(blob)
    with pytest.raises(Permanent, match="restore-incomplete"):
        site.restore(Wish(place, part="artifacts", replace=True))
    assert (place / "notes").read_text() == "of the last run"
    flip(blob)
    site.restore(Wish(place, part="artifacts", replace=True))
    assert not (place / "notes").exists()
    assert (place / "model.pt").read_bytes() == (site.folder / "artifacts" / "model.pt").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bucket", "out", "version"]


def test_links_in_the_target_are_not_followed(site: Site, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "code").symlink_to(outside)
    with pytest.raises(Refused, match="would-overwrite"):
        site.restore(Wish(tmp_path / "out", overwrite=True))
    (tmp_path / "out" / "code").unlink()
    (tmp_path / "out" / "provenance.json").symlink_to(outside / "new")
    site.restore(Wish(tmp_path / "out", overwrite=True))
    assert list(outside.iterdir()) == []
    assert (tmp_path / "out" / "provenance.json").read_text() == "{}"


@pytest.mark.parametrize("name", ["../escaped", "..", "a/b", "/etc/escaped"])
def test_a_forged_name_leads_nowhere(tmp_path: Path, name: str) -> None:
    writer = VersionWriter(tmp_path / "bucket")
    content = b"x"
    pack = writer.pack({"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881": content})
    entry = FileEntry(
        name=name, size=1, sha256="2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", mode="0644", mtime=0, pack=0
    )
    document = writer.write_tree("liver", writer.directory(b"root", None, [entry], [pack]))
    with pytest.raises(Permanent, match="version-damaged"):
        restore(document, [PosixVersions(writer.bucket)], Wish(tmp_path / "deep" / "out"), Watch(lambda _: None, lambda _: None))
    assert not (tmp_path / "deep").exists()


def test_a_link_and_what_is_forged_to_lie_below_it(tmp_path: Path) -> None:
    writer = VersionWriter(tmp_path / "bucket")
    (tmp_path / "outside").mkdir()
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "file").write_text("x")
    link = SymlinkEntry(name="a", target=str(tmp_path / "outside"), mtime=0)
    below = writer.tree(inner, b"a")
    document = writer.write_tree("liver", writer.directory(b"root", None, [link, below], []))
    with pytest.raises((Permanent, Refused)):
        restore(document, [PosixVersions(writer.bucket)], Wish(tmp_path / "out"), Watch(lambda _: None, lambda _: None))
    assert list((tmp_path / "outside").iterdir()) == []


def test_holes_stay_holes(tmp_path: Path) -> None:
    folder = tmp_path / "version"
    folder.mkdir()
    with (folder / "sparse").open("wb") as stream:
        stream.seek(20 * MEGABYTE)
        stream.write(b"end")
        stream.truncate(64 * MEGABYTE)
    writer = VersionWriter(tmp_path / "bucket")
    document = writer.write("liver", folder)
    [blob] = [path for path in (writer.root / "blobs").rglob("*") if path.is_file()]
    shutil.copy(folder / "sparse", blob)
    os.system(f"cp --sparse=always {folder / 'sparse'} {blob}")
    done = restore(document, [PosixVersions(writer.bucket)], Wish(tmp_path / "out"), Watch(lambda _: None, lambda _: None))
    assert done.complete
    assert (tmp_path / "out" / "sparse").stat().st_blocks * 512 < MEGABYTE
    assert (tmp_path / "out" / "sparse").read_bytes() == (folder / "sparse").read_bytes()


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
