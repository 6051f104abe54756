"""A question sees the published tables and nothing else of the machine, whatever its SQL says."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from slidekeeper.adapters.query import snapshot as module
from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.errors import Refused

SLIDES = pl.DataFrame({"number": ["100000000001", "100000000002", "100000000003"], "stain": ["HE", "PSA", "HE"], "size": [1, 2, 3]})
SECRET = "kept from everybody"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "o'brien's published"
    folder.mkdir()
    SLIDES.write_parquet(folder / "slides.parquet")
    pl.DataFrame({"slide_number": ["100000000001"]}).write_parquet(folder / "alignment.parquet")
    (tmp_path / "secret.txt").write_text(SECRET)
    SLIDES.write_parquet(tmp_path / "secret.parquet")
    return folder


def ask(published: Path, sql: str, limit: int | None = None, seconds: float = 20, memory: int = 256) -> list[Sequence[Any]]:
    with DuckdbQuery(published, memory, seconds).ask(sql, limit) as answer:
        return list(answer.rows)


def reason(published: Path, sql: str, **limits: Any) -> str:
    with pytest.raises(Refused) as refused:
        ask(published, sql, **limits)
    assert refused.value.remedy
    assert SECRET not in str(refused.value)
    return refused.value.reason


def test_published_files_are_tables_of_their_names(published: Path) -> None:
    assert ask(published, "SELECT count(*) FROM slides JOIN alignment ON number = slide_number") == [(1,)]
    assert ask(published, "SHOW TABLES") == [("alignment",), ("slides",)]


@pytest.mark.parametrize(
    "sql",
    [
        "FROM slides",
        "TABLE slides",
        "VALUES (1)",
        "WITH he AS (FROM slides WHERE stain = 'HE') SELECT * FROM he -- and no more",
        "DESCRIBE slides",
        "SUMMARIZE slides",
        "EXPLAIN FROM slides",
        "explain analyze SELECT * FROM slides;",
        "PIVOT slides ON stain IN ('HE', 'PSA') USING count(*)",
        "SELECT * FROM range(3), unnest([1, 2])",
        "FROM slides UNION ALL FROM slides;",
    ],
)
def test_what_only_reads_is_answered(published: Path, sql: str) -> None:
    assert ask(published, sql)


def test_an_answer_has_columns_of_different_names_and_no_more_rows_than_asked_for(published: Path) -> None:
    with DuckdbQuery(published, 256, 20).ask("SELECT number, number, size AS number FROM slides ORDER BY 1", 2) as answer:
        assert answer.columns == ["number", "number_1", "number_2"]
        assert list(answer.rows) == [("100000000001", "100000000001", 1), ("100000000002", "100000000002", 2)]


FORBIDDEN_STATEMENTS = [
    "COPY slides TO '{folder}/stolen.csv'",
    "COPY (FROM slides) TO '{folder}/stolen.parquet'",
    "EXPORT DATABASE '{folder}/stolen'",
    "ATTACH '{folder}/stolen.duckdb'",
    "IMPORT DATABASE '{folder}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "LOAD '{folder}/evil.duckdb_extension'",
    "SET enable_external_access = true",
    "SET VARIABLE a = 1",
    "RESET lock_configuration",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "CALL pragma_version()",
    "INSERT INTO slides VALUES ('1', 'HE', 1)",
    "UPDATE slides SET size = 0",
    "DELETE FROM slides",
    "CREATE TABLE mine (i INTEGER)",
    "CREATE TEMP TABLE mine AS FROM slides",
    "CREATE OR REPLACE VIEW slides AS SELECT 1",
    "CREATE MACRO mine() AS 1",
    "CREATE SECRET (TYPE s3)",
    "DROP VIEW slides",
    "PREPARE mine AS SELECT 1",
    "BEGIN",
    "COMMIT",
    "USE memory",
    "CHECKPOINT",
    "VACUUM",
    "EXPLAIN COPY slides TO '{folder}/stolen.csv'",
    "EXPLAIN ANALYZE COPY slides TO '{folder}/stolen.csv'",
    "EXPLAIN (FORMAT json) COPY slides TO '{folder}/stolen.csv'",
    "EXPLAIN ANALYZE CREATE TABLE mine (i INTEGER)",
    "EXPLAIN ANALYZE FROM read_text('{folder}/secret.txt')",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY slides TO '{folder}/stolen.csv'",
    "",
    "-- nothing",
]

FORBIDDEN_CALLS = [
    "read_csv('{folder}/secret.txt')",
    "read_text('{folder}/secret.txt')",
    "read_blob('{folder}/secret.txt')",
    "read_text('/proc/self/environ')",
    "read_json('{folder}/secret.txt')",
    "read_parquet('{folder}/secret.parquet')",
    "parquet_scan('{folder}/secret.parquet')",
    "parquet_metadata('{folder}/secret.parquet')",
    "sniff_csv('{folder}/secret.txt')",
    "read_duckdb('{folder}/secret.txt')",
    "glob('{folder}/*')",
    "read_parquet('https://localhost/secret.parquet')",
    "read_parquet('s3://secret/secret.parquet')",
    "duckdb_secrets()",
    "which_secret('s3://secret', 's3')",
    "duckdb_settings()",
    "duckdb_extensions()",
    "pragma_database_size()",
    "enable_logging()",
    "query('FROM read_text(''{folder}/secret.txt'')')",
    "query_table('slides')",
    "json_execute_serialized_sql('{{}}')",
    "pandas_scan(1)",
    "arrow_scan(1, 2, 3)",
    "READ_TEXT('{folder}/secret.txt')",
]

FRAMES = [
    "FROM {call}",
    "SELECT (SELECT count(*) FROM {call})",
    "WITH w AS (FROM {call}) FROM w",
    "DESCRIBE FROM {call}",
    "SELECT * FROM slides WHERE stain IN (SELECT 'x' FROM {call})",
]

UNKNOWN_NAMES = [
    "FROM '{folder}/secret.txt'",
    "FROM '{folder}/secret.parquet'",
    'FROM "/etc/passwd"',
    "FROM 'https://localhost/secret.parquet'",
    "SELECT getenv('HOME')",
    "SELECT read_text('{folder}/secret.txt')",
    "FROM published",
    "FROM files",
    "FROM SECRET",
    "WITH w AS (INSERT INTO slides VALUES ('1', 'HE', 1) RETURNING *) FROM w",
    "SELECT nextval('mine')",
    "SUMMARIZE '{folder}/secret.parquet'",
    "DESCRIBE TABLE '{folder}/secret.parquet'",
]


@pytest.mark.parametrize("sql", FORBIDDEN_STATEMENTS)
def test_what_does_more_than_read_is_refused(published: Path, sql: str) -> None:
    assert reason(published, sql.format(folder=published.parent)) == "sql-refused"
    assert sorted(file.name for file in published.parent.iterdir() if file != published) == ["secret.parquet", "secret.txt"]


@pytest.mark.parametrize("call", FORBIDDEN_CALLS)
def test_what_looks_beyond_the_tables_is_refused(published: Path, call: str) -> None:
    for frame in FRAMES:
        assert reason(published, frame.format(call=call.format(folder=published.parent))) == "sql-refused"


@pytest.mark.parametrize("sql", UNKNOWN_NAMES)
def test_names_of_anything_but_tables_mean_nothing(published: Path, sql: str) -> None:
    assert reason(published, sql.format(folder=published.parent)) in {"sql-wrong", "sql-refused"}


TELL_NO_SECRET = ("duckdb_settings", "pragma_database_size", "query_table")


@pytest.mark.parametrize("call", [call for call in FORBIDDEN_CALLS if not call.startswith(TELL_NO_SECRET)])
def test_duckdb_itself_refuses_too_where_the_first_fence_would_fail(published: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slidekeeper.adapters.query.duckdb_query.check_statement", lambda connection, sql: None)
    assert reason(published, f"FROM {call.format(folder=published.parent)}") in {"sql-refused", "sql-wrong"}


@pytest.mark.parametrize(
    "sql", [sql for sql in FORBIDDEN_STATEMENTS if "TO '" in sql or sql.startswith(("SET e", "ATTACH", "LOAD", "CREATE"))]
)
def test_duckdb_itself_refuses_statements_too(published: Path, sql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slidekeeper.adapters.query.duckdb_query.check_statement", lambda connection, sql: None)
    if not sql.startswith(("EXPLAIN COPY", "EXPLAIN (FORMAT", "CREATE TEMP")):  # a plan; a table that ends with the question
        assert reason(published, sql.format(folder=published.parent)) in {"sql-refused", "sql-wrong"}
    assert sorted(file.name for file in published.parent.iterdir() if file != published) == ["secret.parquet", "secret.txt"]


def test_a_mistake_is_shown_where_it_is(published: Path) -> None:
    with pytest.raises(Refused, match="sql-wrong") as refused:
        ask(published, "SELECT stian FROM slides")
    assert "stian" in refused.value.detail
    assert "stain" in refused.value.detail


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT", "SELECT 'open", "SELECT CAST(stain AS INTEGER) FROM slides"])
def test_wrong_sql_is_told(published: Path, sql: str) -> None:
    assert reason(published, sql) == "sql-wrong"


def test_an_answer_that_takes_too_long_is_broken_off(published: Path) -> None:
    assert reason(published, "SELECT count(*) FROM range(10000000) a, range(10000000) b", seconds=0.3) == "sql-too-long"


def test_an_answer_that_needs_too_much_memory_is_refused(published: Path) -> None:
    assert reason(published, "SELECT list(i) FROM range(30000000) AS many(i)", memory=64) == "sql-too-large"


def test_where_nothing_is_published_it_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"nothing-published.*Start the daemon"):
        ask(tmp_path / "published", "FROM slides")


def test_files_that_are_replaced_meanwhile_do_not_disturb_the_answer(published: Path) -> None:
    with DuckdbQuery(published, 256, 20).ask("SELECT number FROM slides ORDER BY ALL") as answer:
        for file in published.glob("*.parquet"):
            file.unlink()
        assert len(list(answer.rows)) == 3


def test_a_publication_under_load_never_breaks_a_question(published: Path) -> None:
    stopping = threading.Event()

    def publish() -> None:
        rows = 3
        while not stopping.is_set():
            rows += 1
            pl.DataFrame({"number": ["1"] * rows}).write_parquet(published / ".part")
            (published / ".part").replace(published / "slides.parquet")

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        counts = [ask(published, "SELECT count(*) FROM slides AS a, slides AS b")[0][0] ** 0.5 for _ in range(20)]
    finally:
        stopping.set()
        publisher.join()
    assert all(count == int(count) for count in counts)


def test_nothing_is_left_behind(published: Path) -> None:
    ask(published, "FROM slides")
    reason(published, "FROM nowhere")
    assert sorted(file.name for file in published.iterdir()) == ["alignment.parquet", "slides.parquet"]


def test_where_no_link_can_be_made_copies_are_read(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(module.os, "link", refuse)
    assert len(ask(published, "FROM slides")) == 3


def test_a_folder_that_may_not_be_written_can_be_asked(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = module.tempfile.mkdtemp

    def elsewhere(prefix: str, dir: Path | None = None) -> str:
        if dir:
            raise PermissionError(13, "no")
        return real(prefix=prefix)

    monkeypatch.setattr(module.tempfile, "mkdtemp", elsewhere)
    assert len(ask(published, "FROM slides")) == 3


def test_an_answer_is_saved_as_parquet_whole_or_not_at_all(published: Path, tmp_path: Path) -> None:
    target = tmp_path / "it's.parquet"
    asked = DuckdbQuery(published, 256, 20)
    asked.save("FROM slides ORDER BY number;", target, 2)
    assert pl.read_parquet(target).equals(SLIDES.head(2))
    with pytest.raises(Refused, match="sql-wrong"):
        asked.save("SELECT CAST(stain AS INTEGER) FROM slides", target)
    assert pl.read_parquet(target).height == 2
    asked.save("SUMMARIZE slides -- all", target)
    assert pl.read_parquet(target).height == 3
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_cannot_be_written_is_told(published: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused):
        DuckdbQuery(published, 256, 20).save("FROM slides", tmp_path / "nowhere" / "x.parquet")
    assert not (tmp_path / "nowhere").exists()
