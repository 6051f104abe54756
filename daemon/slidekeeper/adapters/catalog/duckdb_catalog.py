"""The catalog's file behind one thread; a file that cannot be read is set aside, for the journal rebuilds it."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import structlog

from slidekeeper.adapters.catalog.projection import rows_of
from slidekeeper.adapters.catalog.schema import PUBLISHED, RESET, migrate
from slidekeeper.adapters.catalog.troubles import is_damage, sorted_troubles
from slidekeeper.errors import Refused, Temporary, Unavailable
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

    Damage shows when the damaged block is read, be it years after the file was opened. The file is then set aside and a new one
    begun at position 0; whoever asked is told ``catalog-damaged``, and whoever projects has to ask for the position again.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, begin_anew: Callable[[duckdb.Error], duckdb.DuckDBPyConnection]) -> None:
        """``begin_anew`` sets a closed file aside because of a damage, and opens a new one."""
        self._begin_anew = begin_anew
        self._mending = asyncio.Lock()
        self._lives = 0
        """How many files were begun anew since the catalog was opened."""
        self._position_told = True
        """False while nobody knows yet that the file was begun anew: nothing is appended behind the gap, nor half a catalog published."""
        self._closing = False
        self._use(connection)
        self._writing, self._asking, self._publishing = (
            ThreadPoolExecutor(1, thread_name_prefix=f"catalog-{purpose}") for purpose in ("writer", "questions", "publications")
        )
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
        begin_anew = partial(_set_aside_and_open, path, config)
        try:
            with sorted_troubles():
                return cls(_open_migrated(path, config), begin_anew)
        except (duckdb.Error, ValueError) as damage:
            return cls(begin_anew(damage), begin_anew)

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
                return cls(duckdb.connect(str(path), read_only=True, config=_CLOSED_CONFIG), _refuse_damage)
        except duckdb.Error as damage:
            return cls(_refuse_damage(damage), _refuse_damage)

    async def position(self) -> int:
        """The ``seq`` of the newest event in the catalog."""
        self._position_told = True
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
        """Close the file; a question or a publication under way is broken off, for it may take minutes."""
        self._closing = True
        for connection in (self._questions, self._publications):
            with suppress(duckdb.ConnectionException):  # closed because of a damage that could not be mended
                connection.interrupt()
        await self._close_connections()
        for thread in (self._publishing, self._asking, self._writing):
            thread.shutdown()

    def _use(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._questions = connection.cursor()
        self._publications = connection.cursor()
        self._structures = {table: _structure(connection, table) for table in dict.fromkeys(PUBLISHED.values())}

    async def _close_connections(self) -> None:
        """Each on its own thread, when what it does there has ended; the file is closed with the last one."""
        loop = asyncio.get_running_loop()
        for thread, connection in (
            (self._publishing, self._publications),
            (self._asking, self._questions),
            (self._writing, self._connection),
        ):
            with suppress(duckdb.Error):  # a damaged file cannot be brought up to date, but it is closed
                await loop.run_in_executor(thread, connection.close)

    def _position(self) -> int:
        row = self._connection.execute("SELECT seq FROM position").fetchone()
        return int(row[0]) if row else 0

    def _project(self, events: Sequence[Recorded], position: int) -> None:
        connection = self._known(self._connection)
        reached = self._position()
        rows = rows_of(recorded for recorded in events if recorded.seq > reached)
        connection.begin()
        try:
            for table, added in rows.items():
                if added:
                    columns = self._structures[table]
                    insert = f"INSERT INTO {table} BY NAME SELECT unnest(from_json(?, ?), max_depth := 2)"
                    connection.execute(insert, [json.dumps(added), columns])
            connection.execute("UPDATE position SET seq = greatest(seq, ?)", [position])
            connection.commit()
        except duckdb.Error:
            with suppress(duckdb.TransactionException):  # a commit that failed has ended the transaction
                connection.rollback()
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
        self._known(self._publications)
        folder.mkdir(parents=True, exist_ok=True)
        for view, table in PUBLISHED.items():
            target = folder / f"{view}.parquet"
            change = self._changes[table]  # before the snapshot is taken: what comes meanwhile is published next time
            if self._published.get(target) != change or not target.exists():
                _write(self._known(self._publications), view, target)
                self._published[target] = change

    def _known(self, connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
        """The connection, unless it is to be closed, or its file was begun anew and nobody has been told that."""
        if self._closing:
            raise _closed()
        if not self._position_told:
            raise _damaged("the file was begun anew")
        return connection

    async def _call(self, thread: ThreadPoolExecutor, action: Callable[..., T], *arguments: Any) -> T:
        life = self._lives
        try:
            with sorted_troubles():
                return await asyncio.get_running_loop().run_in_executor(thread, action, *arguments)
        except duckdb.InterruptException:
            raise _closed() from None
        except duckdb.Error as error:
            if not is_damage(error):
                log.error("catalog fault", exc_info=error)
                raise Temporary("catalog-fault", type(error).__name__) from None
            await self._mend(life, error)
            raise _damaged(type(error).__name__) from None

    async def _mend(self, life: int, damage: duckdb.Error) -> None:
        """Replace the file in which the damage was found, once, however many stumbled over it."""
        async with self._mending:
            if life != self._lives:
                return
            await self._close_connections()
            fresh = await asyncio.to_thread(self._begin_anew, damage)
            self._position_told = False  # before any thread can see the new file
            self._use(fresh)
            self._lives += 1
            self._changes.update(list(self._structures))


_CLOSED_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def _damaged(detail: str) -> Temporary:
    return Temporary("catalog-damaged", detail, "It is being made again from the journal; ask again in a moment")


def _closed() -> Unavailable:
    return Unavailable("state", "catalog-closed", "the catalog is being closed")


def _refuse_damage(damage: duckdb.Error) -> duckdb.DuckDBPyConnection:
    remedy = "Start the daemon: it rebuilds the catalog from the journal"
    raise Refused("catalog-unreadable", type(damage).__name__, remedy) from None


def _set_aside_and_open(path: Path, config: dict[str, Any], damage: duckdb.Error | ValueError) -> duckdb.DuckDBPyConnection:
    """A new file in the place of one that nobody has open any more.

    Raises:
        Unavailable: the disk cannot be used.
    """
    log.error("catalog set aside, it will be rebuilt from the journal", damage=type(damage).__name__)
    with sorted_troubles():
        for file in (path, path.with_name(path.name + ".wal")):
            if file.exists():
                file.replace(file.with_name(file.name + ".set-aside"))
        return _open_migrated(path, config)


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


def _write(connection: duckdb.DuckDBPyConnection, view: str, target: Path) -> None:
    aside = target.with_name(f".{target.name}.part")
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
    connection.execute(f"COPY (FROM {view}) TO '{_quoted(aside)}' ({options})")
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    aside.replace(target)


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
