"""Runs a person's SQL in a DuckDB of its own, in memory, that is locked before it sees the first word of it.

Its messages are shown to whoever wrote the SQL: they may quote what is published, and that identifies nobody.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from threading import Timer
from typing import Any

import duckdb

from slidekeeper.adapters.query.snapshot import snapshot
from slidekeeper.adapters.query.statements import REMEDY, check_statement
from slidekeeper.errors import Refused
from slidekeeper.ports.query import Answer

ROWS_AT_ONCE = 1000

CONFIG: Mapping[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "python_enable_replacements": False,  # else a name could mean a variable of this program
    "temp_directory": "",
}


class DuckdbQuery:
    """Implements :class:`slidekeeper.ports.query.PublishedQuery`."""

    def __init__(self, published: Path, memory_megabytes: int, seconds: float) -> None:
        """``published`` is the folder of Parquet files; a question may take so much memory and so many seconds."""
        self._published = published
        self._memory_megabytes = memory_megabytes
        self._seconds = seconds

    @contextmanager
    def ask(self, sql: str, limit: int | None = None) -> Iterator[Answer]:
        """The answer, whose rows come as they are read."""
        with self._asked(sql) as connection:
            cursor = connection.execute(sql)
            columns = _distinct([column[0] for column in cursor.description or ()])
            yield Answer(columns, islice(_rows(cursor), limit))

    def save(self, sql: str, target: Path, limit: int | None = None) -> None:
        """Write the answer aside by DuckDB's own writer, which may write this one file, and put it in place."""
        aside = target.absolute().with_name(f".{target.name}.part")
        try:
            aside.touch()
            aside.unlink()  # it can be written; DuckDB would not write into a file that is there, but beside it
            with self._asked(sql, aside) as connection:
                answer = connection.sql(sql)
                (answer if limit is None else answer.limit(limit)).write_parquet(str(aside), compression="zstd")
            with aside.open("rb") as written:
                os.fsync(written.fileno())
            aside.replace(target)
        except OSError as error:
            raise Refused("output-failed", os.strerror(error.errno or 0), "Name a file that can be written") from None
        finally:
            aside.unlink(missing_ok=True)

    @contextmanager
    def _asked(self, sql: str, *writable: Path) -> Iterator[duckdb.DuckDBPyConnection]:
        """A locked connection to which the statement was shown and may run in."""
        with snapshot(self._published) as files, _told_errors(), self._connected(_named(files, sql), writable) as connection:
            check_statement(connection, sql)
            timer = Timer(self._seconds, connection.interrupt)
            timer.start()
            try:
                yield connection
            finally:
                timer.cancel()

    @contextmanager
    def _connected(self, files: Mapping[str, Path], writable: Sequence[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
        config = {**CONFIG, "memory_limit": f"{self._memory_megabytes}MB"}
        with duckdb.connect(":memory:", config=config) as connection:
            for name, file in files.items():
                connection.execute(f"CREATE VIEW {name} AS FROM read_parquet({_literal(file)})")
            folders = {f"{file.parent}/" for file in files.values()}
            connection.execute(f"SET allowed_directories = [{', '.join(_literal(folder) for folder in folders)}]")
            connection.execute(f"SET allowed_paths = [{', '.join(_literal(path) for path in writable)}]")
            connection.execute("SET enable_progress_bar = false")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            connection.execute("BEGIN TRANSACTION READ ONLY")
            yield connection


@contextmanager
def _told_errors() -> Iterator[None]:
    """DuckDB's errors as refusals that say what to do."""
    try:
        yield
    except duckdb.PermissionException as error:
        raise Refused("sql-refused", _message(error), REMEDY) from None
    except duckdb.InterruptException:
        raise Refused("sql-too-long", "the answer took too long", "Ask for less, or raise [catalog] query_seconds") from None
    except duckdb.OutOfMemoryException:
        raise Refused(
            "sql-too-large", "the answer needs too much memory", "Ask for less, or raise [catalog] query_memory_megabytes"
        ) from None
    except duckdb.IOException as error:
        raise Refused("output-failed", _message(error), "Mend or free the disk of the published catalog, and of the file") from None
    except duckdb.Error as error:
        raise Refused("sql-wrong", _message(error), "`DESCRIBE slides` shows a table's columns, `SHOW TABLES` the tables") from None


def _named(files: Mapping[str, Path], sql: str) -> Mapping[str, Path]:
    """The tables whose names occur in the statement: of a large one, to learn its columns takes as long as many an answer."""
    text = sql.lower()
    return {name: file for name, file in files.items() if name in text} or files


def _message(error: duckdb.Error) -> str:
    return str(error).strip()


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Any]]:
    while page := cursor.fetchmany(ROWS_AT_ONCE):
        yield from page


def _distinct(names: Sequence[str]) -> Sequence[str]:
    """The names, those that were there before with a number behind."""
    seen: Counter[str] = Counter()
    distinct: list[str] = []
    for name in names:
        candidate = name
        while candidate in distinct:
            seen[name] += 1
            candidate = f"{name}_{seen[name]}"
        distinct.append(candidate)
    return distinct


def _literal(text: object) -> str:
    """Text between single quotes."""
    return "'" + str(text).replace("'", "''") + "'"
