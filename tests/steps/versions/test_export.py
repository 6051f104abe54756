"""What is exported is a valid OCFL 1.1 object, by another's judgement, and holds every content once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import ocfl
import pytest

from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.errors import Permanent, Refused
from slidekeeper.steps.versions.export import export_ocfl
from writers.versions import VersionWriter


@pytest.fixture
def store(tmp_path: Path) -> PosixVersions:
    folder = tmp_path / "version"
    (folder / "artifacts" / "empty").mkdir(parents=True)
    (folder / "artifacts" / "model.pt").write_bytes(os.urandom(100_000))
    (folder / "artifacts" / "copy.pt").write_bytes((folder / "artifacts" / "model.pt").read_bytes())
    (folder / "artifacts" / os.fsdecode(b"bad-\xff")).write_text("x")
    (folder / "artifacts" / "two\nlines").write_text("y")
    (folder / "link").symlink_to("elsewhere")
    writer = VersionWriter(tmp_path / "bucket")
    writer.write("liver", folder, message="first")
    (folder / "artifacts" / "notes").write_text("more")
    writer.write("liver", folder, number=3)
    return PosixVersions(writer.bucket)


def test_all_versions_of_a_project_are_one_valid_object(store: PosixVersions, tmp_path: Path) -> None:
    told: list[int] = []
    done = export_ocfl(store, [store.document("liver", number) for number in store.numbers("liver")], tmp_path / "object", told.append)
    assert valid(tmp_path / "object")
    assert done.versions == 2
    inventory = json.loads((tmp_path / "object" / "inventory.json").read_text())
    assert inventory["head"] == "v2"
    assert inventory["versions"]["v1"]["message"] == "liver@v1: first"
    assert inventory["versions"]["v2"]["message"] == "liver@v3"
    assert sum(told) < 101_000


def test_content_is_stored_once_and_later_versions_add_only_what_is_new(store: PosixVersions, tmp_path: Path) -> None:
    export_ocfl(store, [store.document("liver", 1), store.document("liver", 3)], tmp_path / "object", lambda _: None)
    assert [path.name for path in (tmp_path / "object").rglob("*.pt")] == ["copy.pt"]
    new = [str(path.relative_to(tmp_path / "object" / "v2" / "content")) for path in (tmp_path / "object" / "v2" / "content").rglob("*")]
    assert sorted(new) == [".slidekeeper", ".slidekeeper/entries.jsonl", ".slidekeeper/version.json", "artifacts", "artifacts/notes"]


def test_what_ocfl_has_no_word_for_goes_along(store: PosixVersions, tmp_path: Path) -> None:
    export_ocfl(store, [store.document("liver", 1)], tmp_path / "object", lambda _: None)
    lines = (tmp_path / "object" / "v1" / "content" / ".slidekeeper" / "entries.jsonl").read_text().splitlines()
    entries = {line["path"]: line["entry"] for line in map(json.loads, lines)}
    assert entries["link"]["target"] == "elsewhere"
    assert entries["artifacts/empty"]["kind"] == "directory"
    assert entries["artifacts/base64=YmFkLf8="]["name_base64"] == "YmFkLf8="


def test_damage_leaves_no_export(store: PosixVersions, tmp_path: Path) -> None:
    [blob] = [path for path in (store.root / "blobs").rglob("*") if path.is_file()]
    blob.write_bytes(b"\0" * blob.stat().st_size)
    with pytest.raises(Permanent, match="version-damaged"):
        export_ocfl(store, [store.document("liver", 1)], tmp_path / "object", lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bucket", "version"]


def test_nothing_is_written_over(store: PosixVersions, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="target-exists"):
        export_ocfl(store, [store.document("liver", 1)], tmp_path / "version", lambda _: None)


def valid(folder: Path) -> bool:
    """What ocfl-py says."""
    passed, _ = ocfl.Object().validate(objdir=str(folder))
    return bool(passed)
