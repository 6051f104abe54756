"""What people see of stagings: lists in words and JSON, also while no daemon runs; a verification that a training job can rely on."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters.tier.tier_site import TierSite
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.cli.app import app
from slidekeeper.messages import events as fact
from writers.events import STAGING, event_of

OK, FAILED, USAGE, NOT_RUNNING, NOT_FOUND = range(5)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A site with one staging, which is held."""
    monkeypatch.setenv("COLUMNS", "220")
    assert CliRunner().invoke(app, ["init", str(tmp_path / "site")]).exit_code == OK
    asyncio.run(fill(tmp_path / "site" / "state"))
    return str(tmp_path / "site" / "slidekeeper.toml")


async def fill(state: Path) -> None:
    journal = SqliteJournal.open(state / "journal.sqlite", SystemClock(), outbox=False)
    catalog = DuckdbCatalog.open(state / "catalog.duckdb", 96, 1)
    ordered = event_of(fact.StagingOrdered).model_copy(update={"name": "prostate"})
    held = fact.StagingQuarantined(staging=STAGING, step="stage", reason="slide-missing", detail="slide 100000000001")
    await journal.commit_all([ordered, held])
    for store in (catalog, journal):
        await store.close()


def call(config: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = CliRunner().invoke(app, ["--config", config, *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_stagings_are_listed_and_shown_without_a_daemon(config: str) -> None:
    code, said, _ = call(config, "staging", "list")
    assert code == OK
    assert "prostate" in said
    assert "slide-missing" in said
    [row] = json.loads(call(config, "staging", "list", "--all", "--json")[1])
    assert (row["name"], row["state"], row["progress"]) == ("prostate", "quarantined", None)
    assert json.loads(call(config, "staging", "show", "prostate", "--json")[1])["detail"] == "slide 100000000001"
    assert "digest" in call(config, "staging", "show", "prostate")[1]


def test_an_unknown_staging_is_not_found(config: str) -> None:
    code, said, complaint = call(config, "staging", "show", "lung")
    assert (code, said) == (NOT_FOUND, "")
    assert complaint.startswith("unknown-staging")


@pytest.mark.parametrize(
    "order", [("stage", "--where", "true", "--name", "x"), ("staging", "release", "prostate"), ("staging", "retry", "prostate")]
)
def test_orders_need_the_daemon(config: str, order: tuple[str, ...]) -> None:
    code, _, complaint = call(config, *order)
    assert code == NOT_RUNNING
    assert "daemon-not-running" in complaint


def test_a_list_of_numbers_that_cannot_be_read_is_told(config: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for file, reason in ((tmp_path / "empty", "empty-cohort"), (tmp_path / "none", "unreadable-file")):
        assert call(config, "stage", "--numbers", str(file), "--name", "x")[2].startswith(reason)


def test_a_staging_is_verified_by_its_folder_alone(tmp_path: Path) -> None:
    site = TierSite.create(tmp_path)
    images = [site.put(1, 100), site.put(2, 200)]
    site.stage(images)
    verify = ["staging", "verify", "cohort", "--exact", "--root", str(tmp_path / "flash")]
    assert CliRunner().invoke(app, verify).exit_code == OK
    site.path(images[0].target).write_bytes(bytes(100))
    done = CliRunner().invoke(app, [*verify, "--json"])
    assert done.exit_code == FAILED
    assert json.loads(done.stdout) == [{"target": images[0].target, "problem": "wrong-digest"}]
    assert CliRunner().invoke(app, ["staging", "verify", "none", "--root", str(tmp_path / "flash")]).exit_code == FAILED
    assert CliRunner().invoke(app, ["staging", "verify", "none", "--root", str(tmp_path / "away")]).exit_code == FAILED


def test_an_unknown_tier_is_told(config: str) -> None:
    assert "unknown-tier" in call(config, "staging", "verify", "x", "--tier", "tape")[2]
