"""``slidekeeper query`` answers from what is published, as a table, CSV, JSON or Parquet, with and without a daemon."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from cli.test_cli import FAILED, NUMBER, OK, USAGE, Command, _wide_terminal, fresh
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.cli.app import app
from slidekeeper.steps.catalog.step import CatalogStep
from steps.catalog.catalogued import record_stored_slide

__all__ = ["_wide_terminal", "fresh"]

EVERY_KIND = """
    SELECT true AS yes, 1::HUGEINT AS big, 1.5 AS dec, 'NaN'::DOUBLE AS nan, NULL AS nothing, DATE '2026-01-02' AS day,
           TIMESTAMP '2026-01-02 03:04:05' AS moment, [1, 2] AS list, {'a': DATE '2026-01-02'} AS struct, MAP {1: 'x'} AS map,
           'x'::BLOB AS blob, INTERVAL 1 DAY AS span, 'a,"b' AS text
"""


async def publish(state: Path) -> None:
    journal = SqliteJournal.open(state / "journal.sqlite", SystemClock(), outbox=False)
    catalog = DuckdbCatalog.open(state / "catalog.duckdb", 96, 1)
    for seed in (1, 2, 3):
        await record_stored_slide(journal, seed)
    await CatalogStep(catalog, journal).catch_up(await journal.head())
    await catalog.publish(state / "published")
    await catalog.close()
    await journal.close()


@pytest.fixture
def site(fresh: Command, tmp_path: Path) -> Command:
    """Commands for a site that has published three slides."""
    asyncio.run(publish(tmp_path / "site" / "state"))
    return fresh


def test_a_question_is_answered_as_a_table(site: Command) -> None:
    answer = site("query", "SELECT number, size FROM slides ORDER BY number")
    assert answer.exit_code == OK
    assert answer.stdout.splitlines()[1].split() == [NUMBER, "101", "B"]


def test_it_is_answered_while_somebody_holds_the_catalog(site: Command, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "site" / "state" / "catalog.duckdb")):
        assert site("query", "SELECT count(*) AS slides FROM slides").exit_code == OK


def test_a_long_table_says_that_there_is_more(site: Command) -> None:
    answer = site("query", "FROM range(3)", "--limit", "2")
    assert len(answer.stdout.splitlines()) == 3
    assert "first 2 rows" in answer.stderr
    assert "first 100 rows" in site("query", "FROM range(101)").stderr
    assert site("query", "FROM range(100)").stderr == ""


def test_an_empty_answer_is_told(site: Command) -> None:
    assert site("query", "FROM slides WHERE false").stdout == "No rows.\n"


def test_csv_is_for_spreadsheets(site: Command) -> None:
    answer = site("query", EVERY_KIND, "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(answer.stdout))
    assert row == {
        **{"yes": "true", "big": "1", "dec": "1.5", "nan": "", "nothing": "", "day": "2026-01-02", "moment": "2026-01-02T03:04:05"},
        **{"list": "[1, 2]", "struct": '{"a": "2026-01-02"}', "map": '{"1": "x"}', "blob": "78", "span": "1 day, 0:00:00", "text": 'a,"b'},
    }


def test_json_is_for_programs(site: Command) -> None:
    (row,) = json.loads(site("query", EVERY_KIND, "--format", "json").stdout)
    assert row == {
        **{"yes": True, "big": 1, "dec": 1.5, "nan": None, "nothing": None, "day": "2026-01-02", "moment": "2026-01-02T03:04:05"},
        **{"list": [1, 2], "struct": {"a": "2026-01-02"}, "map": {"1": "x"}, "blob": "78", "span": "1 day, 0:00:00", "text": 'a,"b'},
    }
    assert json.loads(site("query", "FROM slides WHERE false", "--format", "json").stdout) == []
    assert len(json.loads(site("query", "FROM slides", "--format", "json", "--limit", "2").stdout)) == 2


def test_an_answer_can_be_kept_in_a_file(site: Command, tmp_path: Path) -> None:
    for form in ("csv", "json", "parquet"):
        assert site("query", "FROM slides", "--format", form, "--output", f"kept.{form}").exit_code == OK
    assert pl.read_parquet("kept.parquet").height == len(json.loads(Path("kept.json").read_text())) == 3
    assert len(Path("kept.csv").read_text().splitlines()) == 4
    assert not list(tmp_path.glob(".*"))


def test_a_question_that_fails_leaves_the_file_as_it_was(site: Command) -> None:
    for form in ("csv", "json", "parquet"):
        kept = Path(f"kept.{form}")
        kept.write_text("as it was")
        wrong = "SELECT if(i < 5000, 0, CAST('x' || i AS INTEGER)) FROM range(10000) AS numbers(i)"
        assert site("query", wrong, "--format", form, "--output", str(kept)).exit_code == FAILED
        assert kept.read_text() == "as it was"


def test_a_mistake_is_pointed_at(site: Command) -> None:
    answer = site("query", "SELECT stian FROM slides")
    assert (answer.exit_code, answer.stdout) == (FAILED, "")
    assert answer.stderr.startswith("sql-wrong")
    assert "^" in answer.stderr


def test_what_may_not_be_asked_is_refused(site: Command) -> None:
    answer = site("query", "COPY slides TO 'stolen.csv'")
    assert (answer.exit_code, answer.stderr.split()[0]) == (FAILED, "sql-refused")
    assert not Path("stolen.csv").exists()


def test_where_nothing_is_published_it_is_told_what_to_do(fresh: Command) -> None:
    answer = fresh("query", "FROM slides")
    assert (answer.exit_code, answer.stderr.split()[0]) == (FAILED, "nothing-published")
    assert "Start the daemon" in answer.stderr


@pytest.mark.parametrize(
    "options", [["--format", "parquet"], ["--format", "table", "--output", "x"], ["--limit", "0"], ["--format", "xml"]]
)
def test_options_that_do_not_go_together_are_wrong_usage(site: Command, options: list[str]) -> None:
    assert site("query", "FROM slides", *options).exit_code == USAGE


def test_a_folder_that_is_not_there_is_told(site: Command) -> None:
    for form in ("csv", "parquet"):
        answer = site("query", "FROM slides", "--format", form, "--output", "nowhere/x")
        assert (answer.exit_code, answer.stderr.split()[0]) == (FAILED, "output-failed")


def test_the_command_explains_itself() -> None:
    assert "SELECT" in CliRunner().invoke(app, ["query", "--help"]).output
