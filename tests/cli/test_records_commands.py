"""What people see of records: lists in words and JSON, also while no daemon runs; orders that need it say so."""

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
from slidekeeper.steps.catalog.step import CatalogStep
from writers.events import BATCH, RECORDS, alignment_facts, event_of, records_facts

OK, FAILED, USAGE, NOT_RUNNING, NOT_FOUND = range(5)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A site whose only records were loaded and aligned."""
    monkeypatch.setenv("COLUMNS", "220")
    assert CliRunner().invoke(app, ["init", str(tmp_path / "site")]).exit_code == OK
    asyncio.run(fill(tmp_path / "site" / "state"))
    return str(tmp_path / "site" / "slidekeeper.toml")


async def fill(state: Path) -> None:
    """Tell the story of one batch's records."""
    journal = SqliteJournal.open(state / "journal.sqlite", SystemClock(), outbox=False)
    catalog = DuckdbCatalog.open(state / "catalog.duckdb", 96, 1)
    story = [
        event_of(fact.RecordsArrived),
        event_of(fact.RecordsSettled),
        fact.RecordsLoaded(records=RECORDS, facts=records_facts()),
        fact.RecordsAligned(records=RECORDS, facts=alignment_facts()),
    ]
    await journal.commit_all(story)
    await CatalogStep(catalog, journal).catch_up(await journal.head())
    for store in (catalog, journal):
        await store.close()


def call(config: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    done = CliRunner().invoke(app, ["--config", config, *arguments])
    return done.exit_code, done.stdout, done.stderr


def test_records_are_listed_with_rows_and_matches(config: str) -> None:
    code, said, _ = call(config, "records", "list")
    assert code == OK
    assert RECORDS in said
    assert BATCH in said
    assert "aligned" in said
    [row] = json.loads(call(config, "records", "list", "--json")[1])
    assert (row["rows"], row["rejected"], row["aligned"]["matched"]) == (15, 6, 12)


def test_one_batchs_records_are_shown_source_by_source(config: str) -> None:
    code, said, _ = call(config, "records", "show", RECORDS)
    assert code == OK
    assert "revision 1, imagery" in said
    assert "rejected: not-a-date 2" in said
    assert "row-without-slide 3" in said


def test_findings_of_an_alignment_that_is_not_there_are_none(config: str) -> None:
    assert call(config, "records", "show", RECORDS, "--findings", "--json")[:2] == (OK, "[]\n")


def test_unknown_records_are_not_found(config: str) -> None:
    code, said, complaint = call(config, "records", "show", "ffffffffffff")
    assert (code, said) == (NOT_FOUND, "")
    assert complaint.startswith("unknown-records")


@pytest.mark.parametrize("order", [("records", "retry", RECORDS), ("withdraw", "123456789012", "--yes")])
def test_orders_need_the_daemon(config: str, order: tuple[str, ...]) -> None:
    code, _, complaint = call(config, *order)
    assert code == NOT_RUNNING
    assert "daemon-not-running" in complaint


def test_a_withdrawal_is_asked_about(config: str) -> None:
    done = CliRunner().invoke(app, ["--config", config, "withdraw", "123456789012"], input="n\n")
    assert done.exit_code == FAILED
    assert "for good" in done.output
