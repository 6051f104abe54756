"""The catalog's file behind one thread; a file that cannot be read is set aside, for the journal rebuilds it."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import structlog

from slidekeeper.adapters.catalog.projection import rows_of
from slidekeeper.adapters.catalog.schema import PUBLISHED, RESET, migrate
from slidekeeper.adapters.catalog.troubles import REMEDIES, sorted_troubles
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.ports.journal import Recorded

T = TypeVar("T")

log = structlog.get_logger(__name__)

ROW_GROUP = 20480
"""Rows of a Parquet file that are held in memory until they are written: DuckDB's own 122,880 are more than its memory limit allows."""

SLIDES = """
    WITH page AS (
        SELECT DISTINCT number FROM stored_revisions WHERE number > $after AND ($batch = '' OR batch = $batch) ORDER BY number LIMIT $limit)
    SELECT * FROM stored_revisions WHERE number IN (FROM page) AND ($batch = '' OR batch = $batch)
    QUALIFY revision = max(revision) OVER (PARTITION BY number) ORDER BY number
"""
"""The page's numbers first, and only then their revisions: nothing is sorted but numbers."""


class DuckdbCatalog:
    """Implements :class:`slidekeeper.ports.catalog.Catalog`.

    One thread writes. Questions and publications have a thread and a cursor each, so that neither waits for the other, and a
    large catalog that is being published holds up no pack.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._questions = connection.cursor()
        self._publications = connection.cursor()
        self._writing, self._asking, self._publishing = (
            ThreadPoolExecutor(1, thread_name_prefix=f"catalog-{purpose}") for purpose in ("writer", "questions", "publications")
        )
        self._structures = {table: _structure(connection, table) for table in dict.fromkeys(PUBLISHED.values())}
        self._changes: Counter[str] = Counter()
        """How often each table was changed since the catalog was opened."""
        self._published: dict[Path, int] = {}
        """The change that each published file holds."""

    @classmethod
    def open(cls, path: Path, memory_megabytes: int, threads: int) -> DuckdbCatalog:
        """Open for the daemon; a damaged or newer file is renamed to ``<name>.set-aside`` and a new one begun at position 0.

        Raises:
            Unavailable: another program has the file open, or its disk cannot be used; the file stays as it is.
        """
        config = {"memory_limit": f"{memory_megabytes}MB", "threads": str(threads), **_CLOSED_CONFIG}
        try:
            with sorted_troubles():
                return cls(_open_migrated(path, config))
        except (duckdb.Error, ValueError) as damage:
            log.error("catalog set aside, it will be rebuilt from the journal", damage=type(damage).__name__)
            for file in (path, path.with_name(path.name + ".wal")):
                if file.exists():
                    file.replace(file.with_name(file.name + ".set-aside"))
            with sorted_troubles():
                return cls(_open_migrated(path, config))

    @classmethod
    def open_read_only(cls, path: Path) -> DuckdbCatalog:
        """Open while no daemon runs; makes no file.

        Raises:
            Refused: there is no catalog, or it cannot be read.
            Unavailable: another program writes to it, or its disk cannot be used.
        """
        if not path.is_file():
            raise Refused("no-catalog", "this site has no catalog yet", "Start it: `slidekeeper run`")
        try:
            with sorted_troubles():
                return cls(duckdb.connect(str(path), read_only=True, config=_CLOSED_CONFIG))
        except duckdb.Error as damage:
            remedy = "Start the daemon: it rebuilds the catalog from the journal"
            raise Refused("catalog-unreadable", type(damage).__name__, remedy) from None

    async def position(self) -> int:
        """The ``seq`` of the newest event in the catalog."""
        return await self._call(self._writing, self._position)

    async def project(self, events: Sequence[Recorded], position: int) -> None:
        """Apply events behind the position, in one transaction."""
        await self._call(self._writing, self._project, events, position)

    async def reset(self) -> None:
        """Empty every table and go back to position 0."""
        await self._call(self._writing, self._reset)

    async def slides(self, after: str = "", limit: int = 100, batch: str = "") -> Sequence[Mapping[str, Any]]:
        """Newest revision of each slide, by number."""
        return await self._call(self._asking, self._rows, SLIDES, {"after": after, "batch": batch, "limit": limit})

    async def slide(self, number: str) -> Sequence[Mapping[str, Any]]:
        """All revisions of one slide, oldest first."""
        query = "SELECT * FROM stored_revisions WHERE number = $number ORDER BY revision"
        return await self._call(self._asking, self._rows, query, {"number": number})

    async def publish(self, folder: Path) -> None:
        """Write every view whose table changed since it was last written here as Parquet, each replaced atomically.

        Whoever opens a file finds it whole, and keeps what was opened; whoever opens its name twice may find two publications.
        DuckDB opens a Parquet file more than once for one query, so a query may fail while the file is replaced, and has to be
        asked again (or asked of a copy). The files of two views may stand a moment apart.
        """
        await self._call(self._publishing, self._publish, folder)

    async def close(self) -> None:
        """Close the file."""
        for thread, connection in (
            (self._publishing, self._publications),
            (self._asking, self._questions),
            (self._writing, self._connection),
        ):
            await self._call(thread, connection.close)
            thread.shutdown()

    def _position(self) -> int:
        row = self._connection.execute("SELECT seq FROM position").fetchone()
        return int(row[0]) if row else 0

    def _project(self, events: Sequence[Recorded], position: int) -> None:
        reached = self._position()
        rows = rows_of(recorded for recorded in events if recorded.seq > reached)
        self._connection.begin()
        try:
            for table, added in rows.items():
                if added:
                    columns = self._structures[table]
                    insert = f"INSERT INTO {table} BY NAME SELECT unnest(from_json(?, ?), max_depth := 2)"
                    self._connection.execute(insert, [json.dumps(added), columns])
            self._connection.execute("UPDATE position SET seq = greatest(seq, ?)", [position])
            self._connection.commit()
        except duckdb.Error:
            with suppress(duckdb.TransactionException):  # a commit that failed has ended the transaction
                self._connection.rollback()
            raise
        self._changes.update(table for table, added in rows.items() if added)

    def _reset(self) -> None:
        self._connection.execute(RESET)
        self._changes.update(list(self._structures))

    def _rows(self, query: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        cursor = self._questions.execute(query, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _publish(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for view, table in PUBLISHED.items():
            target = folder / f"{view}.parquet"
            change = self._changes[table]  # before the snapshot is taken: what comes meanwhile is published next time
            if self._published.get(target) != change or not target.exists():
                self._write(view, target)
                self._published[target] = change

    def _write(self, view: str, target: Path) -> None:
        aside = target.with_name(f".{target.name}.part")
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
        self._publications.execute(f"COPY (FROM {view}) TO '{_quoted(aside)}' ({options})")
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        aside.replace(target)

    async def _call(self, thread: ThreadPoolExecutor, action: Callable[..., T], *arguments: Any) -> T:
        try:
            with sorted_troubles():
                return await asyncio.get_running_loop().run_in_executor(thread, action, *arguments)
        except duckdb.IOException as trouble:
            raise Unavailable("state", "catalog", type(trouble).__name__, REMEDIES["catalog"]) from None


_CLOSED_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def _open_migrated(path: Path, config: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(path), config=config)
    try:
        migrate(connection)
    except (duckdb.Error, ValueError):
        connection.close()
        raise
    return connection


def _structure(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """The table's columns in the form that ``from_json`` takes for a list of its rows."""
    described = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table]
    )
    return json.dumps([dict(described.fetchall())])


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
