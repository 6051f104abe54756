"""What people see and do with versions, while no daemon runs: list, show, compare, verify, export, restore."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slidekeeper.cli.app import app
from writers.versions import VersionWriter

OK, FAILED, USAGE, NOT_RUNNING, NOT_FOUND = range(5)


class Site:
    """A site with two versions of one project."""

    def __init__(self, folder: Path) -> None:
        assert CliRunner().invoke(app, ["init", str(folder / "site")]).exit_code == OK
        self.config = folder / "site" / "slidekeeper.toml"
        self.writer = VersionWriter(folder / "site" / "bucket")
        run = folder / "run"
        (run / "artifacts").mkdir(parents=True)
        (run / "artifacts" / "model.pt").write_bytes(os.urandom(100_000))
        (run / "artifacts" / "two\nlines").write_text("x")
        (run / "code").mkdir()
        (run / "code" / "train.py").write_text("print()")
        self.run = run
        self.writer.write("liver", run, run="first")
        (run / "code" / "train.py").write_text("print(2)")
        self.writer.write("liver", run, run="second", message="better")

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        done = CliRunner().invoke(app, ["--config", str(self.config), *arguments])
        return done.exit_code, done.stdout, done.stderr

    def damage(self) -> None:
        [blob] = [path for path in (self.writer.root / "blobs").rglob("*") if path.is_file()]
        blob.write_bytes(bytes(blob.stat().st_size))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("COLUMNS", "220")
    return Site(tmp_path)


def test_versions_are_listed(site: Site) -> None:
    code, said, _ = site.call("versions", "list")
    assert code == OK
    assert "liver@v2" in said
    assert "better" in said
    rows = json.loads(site.call("versions", "list", "liver", "--json")[1])
    assert [(row["version"], row["run"], row["files"]) for row in rows] == [("liver@v1", "first", 3), ("liver@v2", "second", 3)]


def test_a_version_is_shown_by_number_by_run_and_as_the_newest(site: Site) -> None:
    assert json.loads(site.call("versions", "show", "liver", "--json")[1])["version"] == 2
    assert json.loads(site.call("versions", "show", "liver@first", "--json")[1])["version"] == 1
    assert "dddddddddddd" not in site.call("versions", "show", "liver@v1")[1]


def test_its_files_are_listed_one_a_line(site: Site) -> None:
    lines = site.call("versions", "show", "liver@v1", "--files")[1].splitlines()
    assert [line.split()[-1] for line in lines] == ["artifacts", "artifacts/model.pt", "artifacts/two\\nlines", "code", "code/train.py"]
    entries = [json.loads(line) for line in site.call("versions", "show", "liver@v1", "--files", "--json")[1].splitlines()]
    assert entries[1]["entry"]["size"] == 100_000


def test_what_is_not_there_has_its_own_exit_code(site: Site) -> None:
    assert site.call("versions", "list", "unknown")[0] == NOT_FOUND
    assert site.call("versions", "show", "liver@v9")[0] == NOT_FOUND
    assert site.call("restore", "liver", "--to", str(site.run / "out"), "--path", "typo")[0] == NOT_FOUND


def test_two_versions_are_compared(site: Site) -> None:
    assert site.call("versions", "diff", "liver@v1", "liver@v2")[1].splitlines() == ["M code/train.py"]
    [line] = site.call("versions", "diff", "liver@v1", "liver@v2", "--json")[1].splitlines()
    assert json.loads(line) == {"kind": "changed", "path": "code/train.py", "size": 8}


def test_damage_is_told_and_healed(site: Site, tmp_path: Path) -> None:
    assert site.call("versions", "verify", "liver")[0] == OK
    replica = tmp_path / "replica"
    replica.mkdir()
    os.system(f"cp -r {site.writer.root} {replica}")
    site.damage()
    code, said, _ = site.call("verify", "--versions", "--json")
    assert code == FAILED
    found = json.loads(said)
    assert [damage["damage"] for damage in found["damages"]] == ["changed"]
    assert found["affected"] == [{"version": "liver@v1", "objects": 1}, {"version": "liver@v2", "objects": 1}]
    with_replica = ("--set", f"protection.replicas=['{replica}']", "--set", "protection.immutable=false")
    assert site.call(*with_replica, "versions", "verify", "liver", "--heal")[0] == OK
    assert site.call("verify", "--versions")[0] == OK


def test_one_command_restores_a_version(site: Site, tmp_path: Path) -> None:
    code, said, _ = site.call("restore", "liver", "--to", str(tmp_path / "out"))
    assert code == OK
    assert "liver@v2: 3 files" in said
    assert (tmp_path / "out" / "artifacts" / "model.pt").read_bytes() == (site.run / "artifacts" / "model.pt").read_bytes()
    answer = json.loads(site.call("restore", "liver@v2", "--to", str(tmp_path / "out"), "--json")[1])
    assert (answer["files"], answer["verified"], answer["complete"]) == (0, 3, True)
    assert site.call("restore", "liver@v1", "--to", str(tmp_path / "out"))[0] == FAILED
    assert site.call("restore", "liver@v1", "--to", str(tmp_path / "code"), "--part", "code")[0] == OK
    assert (tmp_path / "code" / "train.py").read_text() == "print()"


def test_a_damaged_file_is_named(site: Site, tmp_path: Path) -> None:
    site.damage()
    code, said, _ = site.call("restore", "liver", "--to", str(tmp_path / "out"))
    assert code == FAILED
    assert "artifacts/model.pt is damaged" in said


def test_a_project_is_exported(site: Site, tmp_path: Path) -> None:
    answer = json.loads(site.call("versions", "export", "liver", "--ocfl", str(tmp_path / "object"), "--json")[1])
    assert answer["versions"] == 2
    assert (tmp_path / "object" / "0=ocfl_object_1.1").exists()


def test_orders_need_the_daemon_and_say_so(site: Site) -> None:
    assert site.call("versions", "hold", "liver@v1", "--until", "2030-01-01")[0] == NOT_RUNNING
    assert site.call("versions", "free", "liver@v1")[0] == NOT_RUNNING
    assert site.call("retention", "--apply")[0] == NOT_RUNNING


def test_verify_asks_what(site: Site) -> None:
    assert site.call("verify")[0] == USAGE
