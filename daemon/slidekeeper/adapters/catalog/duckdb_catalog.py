"""The catalog's file behind one thread; a file that cannot be read is set aside, for the journal rebuilds it."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import structlog

from slidekeeper.adapters.catalog.alignments import Alignments
from slidekeeper.adapters.catalog.compaction import has_residue, put_in_place, write_clean_copy
from slidekeeper.adapters.catalog.files import CatalogFile, refuse_damage, structure_of
from slidekeeper.adapters.catalog.projection import TABLES, changes_of
from slidekeeper.adapters.catalog.publications import Publications
from slidekeeper.adapters.catalog.schema import RESET
from slidekeeper.adapters.catalog.troubles import is_damage, sorted_troubles
from slidekeeper.errors import Refused, Temporary, Unavailable
from slidekeeper.model.records import RecordsId
from slidekeeper.ports.catalog import Kin
from slidekeeper.ports.journal import Recorded

T = TypeVar("T")

log = structlog.get_logger(__name__)

PUBLICATION_NICENESS = 10

SLIDES = """
    WITH page AS (
        SELECT DISTINCT number FROM revisions WHERE number > $after AND ($batch = '' OR batch = $batch) ORDER BY number LIMIT $limit)
    SELECT * FROM revisions WHERE number IN (FROM page) AND ($batch = '' OR batch = $batch)
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

    def __init__(self, file: CatalogFile, connection: duckdb.DuckDBPyConnection, objects: Path | None = None) -> None:
        """``connection`` has the ``file`` open; ``objects`` is the bucket's root."""
        self._file = file
        self._objects = objects
        self._mending = asyncio.Lock()
        self._lives = 0
        """How many files were begun anew since the catalog was opened."""
        self._position_told = True
        """False while nobody knows yet that the file was begun anew: nothing is appended behind the gap, nor half a catalog published."""
        self._closing = False
        self._use(connection)
        self._writing, self._asking = (ThreadPoolExecutor(1, f"catalog-{purpose}") for purpose in ("writer", "questions"))
        self._publishing = ThreadPoolExecutor(1, "catalog-publications", initializer=_yield_to_packs)
        self._changes: Counter[str] = Counter()
        """How often each table was changed since the catalog was opened."""
        self._publications_made = Publications(objects)

    @classmethod
    def open(cls, path: Path, memory_megabytes: int, threads: int, objects: Path | None = None) -> DuckdbCatalog:
        """Open for the daemon; a damaged or newer file is renamed to ``<name>.set-aside`` and a new one begun at position 0.

        Args:
            path: the file.
            memory_megabytes: memory that DuckDB may use.
            threads: threads that DuckDB may use.
            objects: the bucket's root, from which records are published; without it they are not.

        Raises:
            Unavailable: another program has the file open, or its disk cannot be used; the file stays as it is.
        """
        file = CatalogFile(path, memory_megabytes, threads)
        try:
            with sorted_troubles():
                return cls(file, file.open(), objects)
        except (duckdb.Error, ValueError) as damage:
            return cls(file, file.begin_anew(damage), objects)

    @classmethod
    def open_read_only(cls, path: Path, objects: Path | None = None) -> DuckdbCatalog:
        """Open while no daemon runs; makes no file. ``objects`` is the bucket's root.

        Raises:
            Refused: there is no catalog, or it cannot be read.
            Unavailable: another program writes to it, or its disk cannot be used.
        """
        if not path.is_file():
            raise Refused("no-catalog", "this site has no catalog yet", "Start it: `slidekeeper run`")
        file = CatalogFile(path, read_only=True)
        try:
            with sorted_troubles():
                return cls(file, file.open(), objects)
        except duckdb.Error as damage:
            refuse_damage(damage)

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
        query = "SELECT * FROM revisions WHERE number = $number ORDER BY revision"
        return await self._call(self._asking, self._rows, query, {"number": number})

    async def records(self, after: str = "", limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """Newest revision of each batch's records, by id."""
        query = "SELECT * FROM records WHERE records > $after ORDER BY records LIMIT $limit"
        return await self._call(self._asking, self._rows, query, {"after": after, "limit": limit})

    async def record(self, records: str) -> Sequence[Mapping[str, Any]]:
        """All revisions of one batch's records, oldest first."""
        query = "SELECT * FROM record_revisions WHERE records = $records ORDER BY revision"
        return await self._call(self._asking, self._rows, query, {"records": records})

    async def stored_in(self, numbers: Sequence[str], batches: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Number and batch of every stored slide that is among ``numbers`` or in one of ``batches``."""
        query = """
            SELECT DISTINCT number, batch FROM revisions
            WHERE number IN (SELECT unnest($numbers)) OR batch IN (SELECT unnest($batches)) ORDER BY ALL
        """
        rows = await self._call(self._asking, self._rows, query, {"numbers": list(numbers), "batches": list(batches)})
        return [(row["number"], row["batch"]) for row in rows]

    async def has_alignments(self) -> bool:
        """Whether any records are aligned."""
        return bool(await self._call(self._asking, self._rows, "SELECT 1 FROM alignment_history LIMIT 1", {}))

    async def waiting_for(self, numbers: Sequence[str]) -> Sequence[RecordsId]:
        """Records with rows without a slide that refer to one of ``numbers``."""
        return await self._call(self._publishing, lambda: self._alignments().waiting_for(numbers))

    async def findings(self, records: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Rows of the current alignment that are tied to nothing."""
        return await self._call(self._publishing, lambda: self._alignments().findings(RecordsId(records), limit))

    async def kin(self, numbers: Sequence[str]) -> Kin:
        """All numbers of the same patients."""
        kin = await self._call(self._publishing, lambda: self._alignments().kin(numbers))
        stored = frozenset(number for number, _ in await self.stored_in(numbers, ()))
        return Kin(kin.slides | stored, kin.others)

    def _alignments(self) -> Alignments:
        return Alignments.current(self._publications, self._objects) if self._objects else Alignments({})

    async def publish(self, folder: Path) -> None:
        """Write every view whose table changed since it was last written here as Parquet, each replaced atomically.

        Whoever opens a file finds it whole, and keeps what was opened; whoever opens its name twice may find two publications.
        DuckDB opens a Parquet file more than once for one query, so a query may fail while the file is replaced, and has to be
        asked again (or asked of a copy). The files of two views may stand a moment apart.

        Raises:
            Unavailable: the state's disk cannot be written, or the bucket's records cannot be read.
        """
        await self._call(self._publishing, self._publish, folder)

    async def compact(self) -> None:
        """Where a withdrawal deleted rows, make the file anew without their bytes; else nothing is done."""
        if self._residue:
            await self._call(self._publishing, self._alone, self._compact)

    async def close(self) -> None:
        """Close the file; a question or a publication under way is broken off, for it may take minutes."""
        self._closing = True
        for connection in (self._questions, self._publications):
            with suppress(duckdb.ConnectionException):  # closed because of a damage that could not be mended
                connection.interrupt()
        await self._close_connections()
        for thread in (self._publishing, self._asking, self._writing):
            thread.shutdown()
        # DuckDB's bindings complain at length, into the log, of every connection that outlives the interpreter.
        del self._connection, self._questions, self._publications

    def _use(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._questions = connection.cursor()
        self._publications = connection.cursor()
        for each in (self._connection, self._questions, self._publications):
            each.execute("SET enable_progress_bar = false")  # it would be drawn into the daemon's log
        self._structures = {table: structure_of(connection, table) for table in TABLES}
        self._residue = has_residue(connection)

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
        changes = changes_of(recorded for recorded in events if recorded.seq > reached)
        connection.begin()
        try:
            self._remove("stored_revisions", changes.removed)
            self._remove("withdrawn_slides", changes.settled)
            for table, added in changes.rows.items():
                self._add(table, added)
            connection.execute("UPDATE position SET seq = greatest(seq, ?)", [position])
            connection.commit()
        except duckdb.Error:
            with suppress(duckdb.TransactionException):  # a commit that failed has ended the transaction
                connection.rollback()
            raise
        self._changes.update(table for table, added in changes.rows.items() if added)
        if changes.removed:
            self._changes.update(["stored_revisions", "withdrawn_slides"])
            self._residue = True

    def _add(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            insert = f"INSERT INTO {table} BY NAME SELECT unnest(from_json(?, ?), max_depth := 2)"
            self._connection.execute(insert, [json.dumps(rows), self._structures[table]])

    def _remove(self, table: str, slides: Set[str]) -> None:
        if slides:
            delete = f"DELETE FROM {table} WHERE number IN (SELECT unnest(?))"  # noqa: S608 - our own tables
            self._connection.execute(delete, [sorted(slides)])
            self._connection.execute("INSERT INTO residue VALUES (0)")

    def _reset(self) -> None:
        self._connection.execute(RESET)
        self._changes.update(TABLES)
        self._residue = True

    def _alone(self, action: Callable[[], None]) -> None:
        """Run on the writer's thread while nobody asks; called on the thread of publications, which therefore waits, too."""
        self._asking.submit(lambda: self._writing.submit(action).result()).result()

    def _compact(self) -> None:
        if not has_residue(self._connection):
            self._residue = False
            return
        aside = write_clean_copy(self._connection, self._file.path)
        for connection in (self._publications, self._questions, self._connection):
            connection.close()
        try:
            put_in_place(aside, self._file.path)
        finally:
            self._use(self._file.open())

    def _rows(self, query: str, parameters: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        cursor = self._questions.execute(query, parameters)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _publish(self, folder: Path) -> None:
        self._known(self._publications)
        changes = Counter(self._changes)  # before anything is read: what comes meanwhile is published next time
        self._publications_made.publish(self._publications, folder, changes)

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
            fresh = await asyncio.to_thread(self._file.begin_anew, damage)
            self._position_told = False  # before any thread can see the new file
            self._use(fresh)
            self._lives += 1
            self._changes.update(list(self._structures))


def _yield_to_packs() -> None:
    """Let this thread run when no other wants the processor: what is published may be a moment old, packs should not wait for it."""
    with suppress(PermissionError):  # a service may be forbidden to change priorities
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PUBLICATION_NICENESS)


def _damaged(detail: str) -> Temporary:
    return Temporary("catalog-damaged", detail, "It is being made again from the journal; ask again in a moment")


def _closed() -> Unavailable:
    return Unavailable("state", "catalog-closed", "the catalog is being closed")
