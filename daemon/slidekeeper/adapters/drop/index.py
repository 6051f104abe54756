"""Intake's index in SQLite: paths as the bytes they are, in the restricted folder.

The index is committed before ``pack.arrived`` is journaled, so that a crash leaves at most a pack that the journal does not know
yet; such packs are told by ``announced`` and reported again at the next start.
"""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from slidekeeper.errors import Refused, Unavailable
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import Barcode, FileIdentity, Member, PackFiles, RelativePath, Role
from slidekeeper.ports.drop import Listing

T = TypeVar("T")

TABLES = """
CREATE TABLE IF NOT EXISTS directories (
    drop_name TEXT, directory BLOB, mtime_ns INTEGER, listed REAL, PRIMARY KEY (drop_name, directory)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    drop_name TEXT, directory BLOB, name BLOB, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, pack TEXT, role TEXT,
    PRIMARY KEY (drop_name, directory, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_pack ON files (pack);
CREATE TABLE IF NOT EXISTS packs (
    pack TEXT PRIMARY KEY, drop_name TEXT, directory BLOB, stem BLOB, batch TEXT, barcode BLOB, announced INTEGER DEFAULT 0);
CREATE INDEX IF NOT EXISTS packs_by_name ON packs (drop_name, directory, stem);
CREATE INDEX IF NOT EXISTS packs_unannounced ON packs (announced) WHERE announced = 0;
CREATE TABLE IF NOT EXISTS batches (batch TEXT PRIMARY KEY, drop_name TEXT, folder BLOB, open INTEGER) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batches_open ON batches (drop_name, folder) WHERE open = 1;
CREATE TABLE IF NOT EXISTS markers (
    drop_name TEXT, path BLOB, mtime_ns INTEGER, ctime_ns INTEGER, PRIMARY KEY (drop_name, path)) WITHOUT ROWID;
"""


WITHOUT_FILES = """NOT EXISTS (SELECT 1 FROM files WHERE files.drop_name = directories.drop_name AND (
    files.directory = directories.directory OR (files.directory >= CAST(directories.directory || x'2f' AS BLOB)
    AND files.directory < CAST(directories.directory || x'30' AS BLOB))))"""
OF_A_GONE_DIRECTORY = (
    ("directories", f"drop_name = ? AND (directory = ? OR (directory >= ? AND directory < ?)) AND {WITHOUT_FILES}"),
    ("markers", "drop_name = ? AND (path = ? OR (path >= ? AND path < ?))"),
    ("batches", "drop_name = ? AND (folder = ? OR (folder >= ? AND folder < ?)) AND open = 0"),
)
"""What names a directory, or something below it; the slash is the byte before the zero."""

PASSING = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    }
)
"""Results that tell of the disk or of others who use the file, not of damage."""

PRIMARY_CODE = 0xFF
"""Extended result codes carry their primary code in the low byte (SQLite, "Result and Error Codes")."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the index; makes the file (mode 0600) and its tables where there are none.

    Raises:
        Refused: the file is damaged.
        Unavailable: the disk is full, read-only or failing.
    """
    try:
        path.touch(mode=0o600)
    except OSError as trouble:
        raise _unavailable(errno.errorcode.get(trouble.errno or 0, "OSError")) from None
    with explained_troubles(), ExitStack() as on_failure:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        on_failure.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(TABLES)
        on_failure.pop_all()
    return connection


@contextmanager
def explained_troubles() -> Iterator[None]:
    """Let no error of SQLite out of the block as it is.

    Raises:
        Refused: the index is damaged.
        Unavailable: the disk is full, read-only or failing.
    """
    try:
        yield
    except sqlite3.Error as trouble:
        raise _explained(trouble) from None


def _explained(trouble: sqlite3.Error) -> Unavailable | Refused:
    """The error as operators see it; SQLite's own text is left out, for it may quote data."""
    name = getattr(trouble, "sqlite_errorname", type(trouble).__name__)
    if getattr(trouble, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & PRIMARY_CODE in PASSING:
        return _unavailable(name)
    remedy = "Move identified/intake.sqlite away: known slides will be recognized as duplicates"
    return Refused("intake-index-damaged", f"SQLite says {name}", remedy)


def _unavailable(name: str) -> Unavailable:
    return Unavailable("state", "intake-index", name, "Free space on the state's disk")


def split(path: RelativePath) -> tuple[bytes, bytes]:
    """Directory and name; the root's directory is empty."""
    directory, _, name = path.reveal().rpartition(b"/")
    return directory, name


class SqliteKnownFiles:
    """Implements :class:`slidekeeper.ports.drop.KnownFiles`; all use of the connection happens in its one thread."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="intake-index")

    async def find(self, pack: PackId) -> PackFiles | None:
        """The files of a pack."""
        return await self._call(self._find, "pack = ?", pack)

    async def find_named(self, drop: str, folder: bytes, stem: bytes) -> PackFiles | None:
        """The newest pack of this stem in this directory."""
        return await self._call(self._find, "drop_name = ? AND directory = ? AND stem = ?", drop, folder, stem)

    async def remember(self, packs: Sequence[PackFiles]) -> None:
        """Insert or replace packs with their files."""
        await self._call(self._write, [statement for pack in packs for statement in _remembering(pack)])

    async def announced(self, packs: Sequence[PackId]) -> None:
        """Note that the journal knows these packs."""
        await self._call(self._write, [("UPDATE packs SET announced = 1 WHERE pack = ?", (pack,)) for pack in packs])

    async def unannounced(self) -> Sequence[PackFiles]:
        """Packs of which the journal may not know."""
        return await self._call(self._unannounced)

    async def listed(self, drop: str, directories: Sequence[Listing]) -> None:
        """Note fully known directories."""
        replace = "INSERT OR REPLACE INTO directories VALUES (?, ?, ?, ?)"
        await self._call(self._write, [(replace, (drop, listing.directory, listing.mtime_ns, listing.at)) for listing in directories])

    async def forget(self, pack: PackId) -> None:
        """Remove a pack and its files."""
        await self._call(self._write, [("DELETE FROM files WHERE pack = ?", (pack,)), ("DELETE FROM packs WHERE pack = ?", (pack,))])

    async def owners(self, drop: str, files: Sequence[RelativePath]) -> Mapping[RelativePath, PackId]:
        """The packs of known files."""
        return await self._call(self._owners, drop, files)

    async def forget_files(self, drop: str, files: Sequence[RelativePath]) -> None:
        """Remove files, and packs without any."""
        await self._call(self._write, [statement for file in files for statement in _forgetting(drop, file)])

    async def forget_directory(self, drop: str, directory: bytes) -> None:
        """Remove directories without known files, their markers, and the closed batches of a session's folder."""
        below = (drop, directory, directory + b"/", directory + b"0")
        statements = [(f"DELETE FROM {table} WHERE {condition}", below) for table, condition in OF_A_GONE_DIRECTORY]  # noqa: S608 - our own
        await self._call(self._write, statements)

    async def open_batch(self, drop: str, folder: bytes) -> BatchId | None:
        """The open batch of a folder."""
        rows = await self._call(self._rows, "SELECT batch FROM batches WHERE drop_name = ? AND folder = ? AND open = 1", (drop, folder))
        return BatchId(rows[0][0]) if rows else None

    async def begin_batch(self, batch: BatchId, drop: str, folder: bytes) -> None:
        """Note a new open batch."""
        await self._call(self._write, [("INSERT INTO batches VALUES (?, ?, ?, 1)", (batch, drop, folder))])

    async def end_batch(self, batch: BatchId) -> None:
        """Note that a batch is closed."""
        await self._call(self._write, [("UPDATE batches SET open = 0 WHERE batch = ?", (batch,))])

    async def open_batches(self) -> Sequence[tuple[BatchId, str]]:
        """All open batches with their drop folders' names."""
        rows = await self._call(self._rows, "SELECT batch, drop_name FROM batches WHERE open = 1", ())
        return [(BatchId(batch), drop) for batch, drop in rows]

    async def is_new_marker(self, drop: str, path: RelativePath, identity: FileIdentity) -> bool:
        """Whether this marker was not noted before."""
        query = "SELECT 1 FROM markers WHERE (drop_name, path, mtime_ns, ctime_ns) = (?, ?, ?, ?)"
        return not await self._call(self._rows, query, _marker(drop, path, identity))

    async def note_marker(self, drop: str, path: RelativePath, identity: FileIdentity) -> None:
        """Note a marker."""
        await self._call(self._write, [("INSERT OR REPLACE INTO markers VALUES (?, ?, ?, ?)", _marker(drop, path, identity))])

    async def close(self) -> None:
        """Close the file."""
        await self._call(self._connection.close)
        self._thread.shutdown()

    def _find(self, condition: str, *values: object) -> PackFiles | None:
        query = f"SELECT pack, drop_name, batch, stem, barcode FROM packs WHERE {condition} ORDER BY rowid DESC LIMIT 1"  # noqa: S608 - our own conditions
        rows = self._rows(query, values)
        return self._pack_files(rows[0]) if rows else None

    def _owners(self, drop: str, files: Sequence[RelativePath]) -> Mapping[RelativePath, PackId]:
        query = "SELECT pack FROM files WHERE drop_name = ? AND directory = ? AND name = ?"
        return {file: PackId(row[0]) for file in files for row in self._rows(query, (drop, *split(file)))}

    def _unannounced(self) -> Sequence[PackFiles]:
        return [
            self._pack_files(row) for row in self._rows("SELECT pack, drop_name, batch, stem, barcode FROM packs WHERE announced = 0", ())
        ]

    def _pack_files(self, row: Sequence[Any]) -> PackFiles:
        pack, drop, batch, stem, barcode = row
        files = self._rows("SELECT directory, name, role, size, mtime_ns, ctime_ns FROM files WHERE pack = ?", (pack,))
        members = tuple(
            Member(RelativePath(directory + b"/" + name if directory else name), Role(role), FileIdentity(*identity))
            for directory, name, role, *identity in files
        )
        plain = Barcode(barcode.decode("utf-8", "surrogateescape"))
        return PackFiles(PackId(pack), drop, BatchId(batch), RelativePath(stem), plain, members)

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        return self._connection.execute(query, values).fetchall()

    def _write(self, statements: Iterable[tuple[str, Sequence[object]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in statements:
                self._connection.execute(statement, values)
            self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    async def _call(self, action: Callable[..., T], *arguments: Any) -> T:
        with explained_troubles():
            return await asyncio.get_running_loop().run_in_executor(self._thread, action, *arguments)


def _marker(drop: str, path: RelativePath, identity: FileIdentity) -> Sequence[object]:
    return drop, path.reveal(), identity.mtime_ns, identity.ctime_ns


def _remembering(pack: PackFiles) -> list[tuple[str, Sequence[object]]]:
    first = split(pack.members[0].path)[0] if pack.members else b""
    barcode = pack.barcode.reveal().encode("utf-8", "surrogateescape")
    row = (pack.pack, pack.drop, first, pack.stem.reveal(), pack.batch, barcode)
    upsert = (
        "INSERT INTO packs (pack, drop_name, directory, stem, batch, barcode) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (pack) DO UPDATE SET batch = excluded.batch, barcode = excluded.barcode"
    )
    statements: list[tuple[str, Sequence[object]]] = [(upsert, row), ("DELETE FROM files WHERE pack = ?", (pack.pack,))]
    for member in pack.members:
        identity = member.identity
        values = (pack.drop, *split(member.path), identity.size, identity.mtime_ns, identity.ctime_ns, pack.pack, member.role.value)
        statements.append(("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values))
    return statements


def _forgetting(drop: str, file: RelativePath) -> list[tuple[str, Sequence[object]]]:
    key = (drop, *split(file))
    no_other = (
        "DELETE FROM packs WHERE pack = (SELECT pack FROM files WHERE drop_name = ? AND directory = ? AND name = ?) "
        "AND 1 = (SELECT count(*) FROM files WHERE files.pack = packs.pack)"
    )
    return [(no_other, key), ("DELETE FROM files WHERE drop_name = ? AND directory = ? AND name = ?", key)]
