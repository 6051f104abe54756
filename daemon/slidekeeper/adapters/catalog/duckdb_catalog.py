"""The catalog's file behind one thread; a file that cannot be read is set aside, for the journal rebuilds it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import structlog

from slidekeeper.adapters.catalog.projection import rows_of
from slidekeeper.adapters.catalog.schema import PUBLISHED, RESET, migrate
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.ports.journal import Recorded

T = TypeVar("T")

log = structlog.get_logger(__name__)


class DuckdbCatalog:
    """Implements :class:`slidekeeper.ports.catalog.Catalog`. All use of the connection happens in its one thread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="catalog")
        self._structures = {table: _structure(connection, table) for table in ("stored_revisions", "pack_history", "batch_history")}

    @classmethod
    def open(cls, path: Path, memory_megabytes: int, threads: int) -> DuckdbCatalog:
        """Open for the daemon; a damaged or newer file is renamed to ``<name>.set-aside`` and a new one begun at position 0."""
        config = {"memory_limit": f"{memory_megabytes}MB", "threads": str(threads), **_CLOSED_CONFIG}
        try:
            return cls(_open_migrated(path, config))
        except (duckdb.Error, ValueError) as damage:
            log.error("catalog set aside, it will be rebuilt from the journal", damage=type(damage).__name__)
            for file in (path, path.with_name(path.name + ".wal")):
                if file.exists():
                    file.replace(file.with_name(file.name + ".set-aside"))
            return cls(_open_migrated(path, config))

    @classmethod
    def open_read_only(cls, path: Path) -> DuckdbCatalog:
        """Open while no daemon runs; makes no file.

        Raises:
            Refused: there is no catalog, or it cannot be read.
        """
        if not path.is_file():
            raise Refused("no-catalog", "this site has no catalog yet", "Start it: `slidekeeper run`")
        try:
            return cls(duckdb.connect(str(path), read_only=True, config=_CLOSED_CONFIG))
        except duckdb.Error as damage:
            remedy = "Start the daemon: it rebuilds the catalog from the journal"
            raise Refused("catalog-unreadable", type(damage).__name__, remedy) from None

    async def position(self) -> int:
        """The ``seq`` of the newest event in the catalog."""
        return await self._call(self._position)

    async def project(self, events: Sequence[Recorded], position: int) -> None:
        """Apply events behind the position, in one transaction."""
        await self._call(self._project, events, position)

    async def reset(self) -> None:
        """Empty every table and go back to position 0."""
        await self._call(self._reset)

    async def slides(self, after: str = "", limit: int = 100, batch: str = "") -> Sequence[Mapping[str, Any]]:
        """Newest revision of each slide, by number."""
        condition = "number > $after AND ($batch = '' OR batch = $batch)"
        newest = f"SELECT * FROM stored_revisions WHERE {condition} QUALIFY revision = max(revision) OVER (PARTITION BY number)"  # noqa: S608
        return await self._call(self._rows, f"{newest} ORDER BY number LIMIT $limit", {"after": after, "batch": batch, "limit": limit})

    async def slide(self, number: str) -> Sequence[Mapping[str, Any]]:
        """All revisions of one slide, oldest first."""
        return await self._call(self._rows, "SELECT * FROM stored_revisions WHERE number = $number ORDER BY revision", {"number": number})

    async def publish(self, folder: Path) -> None:
        """Write every view as Parquet, each replaced atomically."""
        await self._call(self._publish, folder)

    async def close(self) -> None:
        """Close the file."""
        await self._call(self._connection.close)
        self._thread.shutdown()

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
            self._connection.rollback()
            raise

    def _reset(self) -> None:
        self._connection.execute(RESET)

    def _rows(self, query: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        cursor = self._connection.execute(query, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _publish(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for view in PUBLISHED:
            target = folder / f"{view}.parquet"
            aside = folder / f".{view}.parquet.part"
            self._connection.execute(f"COPY (FROM {view}) TO '{_quoted(aside)}' (FORMAT parquet, COMPRESSION zstd)")
            with aside.open("rb") as written:
                os.fsync(written.fileno())
            aside.replace(target)

    async def _call(self, action: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, action, *arguments)
        except duckdb.IOException as trouble:
            raise Unavailable("state", "catalog", type(trouble).__name__, "Free space on the state's disk") from None


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
