"""What people see and order of training runs: lists in words and JSON without a daemon, previews, the audit's exit code."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.cli.app import app
from slidekeeper.messages import events as fact
from slidekeeper.model.run import DoneMarker, RunPlace
from writers.events import RUN
from writers.plain_versions import write_version
from writers.runs import write_marker, write_run

OK, FAILED, USAGE, NOT_RUNNING, NOT_FOUND = range(5)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site whose only run was protected."""
    monkeypatch.setenv("COLUMNS", "220")
    site = tmp_path / "site"
    assert CliRunner().invoke(app, ["init", str(site)]).exit_code == OK
    asyncio.run(fill(site))
    return site


async def fill(site: Path) -> None:
    """Tell the story of one run."""
    folder = write_run(site / "runs", name="second\ntry")
    write_marker(folder)
    place = RunPlace(project="gleason", name=folder.name, folder=str(folder), root=str(site / "runs"))
    journal = SqliteJournal.open(site / "state" / "journal.sqlite", SystemClock(), outbox=False)
    catalog = DuckdbCatalog.open(site / "state" / "catalog.duckdb", 96, 1)
    await journal.commit(fact.RunFinished(run=RUN, place=place, marker=DoneMarker(message="converged"), by="marker"))
    await journal.commit(fact.RunProtected(run=RUN, facts=write_version(site / "bucket", RUN, folder)))
    for store in (catalog, journal):
        await store.close()


def call(site: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = CliRunner().invoke(app, ["--config", str(site / "slidekeeper.toml"), *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_runs_are_listed_and_shown_while_no_daemon_runs(site: Path) -> None:
    code, said, _ = call(site, "runs", "list")
    assert (code, RUN in said, r"second\ntry" in said, "protected" in said) == (OK, True, True, True)
    [row] = json.loads(call(site, "runs", "list", "--json")[1])
    assert (row["state"], row["version"], row["name"]) == ("protected", 1, "second\ntry")
    code, said, _ = call(site, "runs", "show", RUN)
    assert (code, "converged" in said) == (OK, True)
    assert json.loads(call(site, "runs", "show", RUN, "--json")[1])["marker"]["message"] == "converged"


def test_status_counts_runs(site: Path) -> None:
    assert "runs: 1 protected" in call(site, "status")[1]
    assert json.loads(call(site, "status", "--json")[1])["runs"] == {"protected": 1}


def test_unknown_runs_are_not_found(site: Path) -> None:
    for arguments in (["runs", "show", "f" * 12], ["cleanup", "--run", "f" * 12, "--dry-run"]):
        code, _, complaint = call(site, *arguments)
        assert (code, complaint.startswith("unknown-run")) == (NOT_FOUND, True)


@pytest.mark.parametrize("arguments", [["runs", "retry", RUN], ["cleanup", "--run", RUN], ["protect", ".", "--project", "gleason"]])
def test_orders_need_the_daemon_and_say_so(site: Path, arguments: list[str]) -> None:
    assert call(site, *arguments)[0] == NOT_RUNNING


def test_a_status_that_no_run_has_is_wrong_usage(site: Path) -> None:
    assert call(site, "protect", ".", "--status", "finished")[0] == USAGE


def test_a_dry_run_lists_what_would_go_and_what_would_stay_and_changes_nothing(site: Path) -> None:
    run = site / "runs" / "gleason" / "second\ntry"
    (run / "note\tbook").write_text("mine")
    code, said, _ = call(site, "cleanup", "--run", RUN, "--dry-run", "--json")
    rows = {row["path"]: (row["fate"], row["why"]) for row in json.loads(said)}
    assert code == OK
    assert rows == {
        "DONE": ("removed", "in-version"),
        "log.txt": ("removed", "in-version"),
        "model.bin": ("removed", "in-version"),
        "note\\tbook": ("left", "new"),
        "plots/deep/er.txt": ("removed", "in-version"),
        "plots/loss.svg": ("removed", "in-version"),
    }
    assert "model.bin" in call(site, "cleanup", "--run", RUN, "--dry-run")[1]
    assert (run / "model.bin").exists()


def test_a_clean_site_audits_clean_and_a_stray_file_is_told(site: Path) -> None:
    assert call(site, "tier", "audit")[:2] == (OK, "Nothing is there that belongs to nobody.\n")
    (site / "flash" / "old.svs").write_bytes(b"123")
    code, said, _ = call(site, "tier", "audit", "--json")
    assert (code, json.loads(said)) == (
        FAILED,
        [{"root": str(site / "flash"), "path": "old.svs", "files": 1, "size": 3, "why": "no-staging"}],
    )


def test_an_audit_of_what_is_not_there_proves_nothing(site: Path) -> None:
    (site / "flash").rmdir()
    code, _, complaint = call(site, "tier", "audit")
    assert (code, complaint.startswith("unreachable")) == (FAILED, True)
