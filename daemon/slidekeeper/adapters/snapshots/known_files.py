"""What earlier captures found out, in SQLite: unchanged files are not read again, small files that some pack holds not packed again.

It is a cache: deleted or damaged, it is made anew, and costs one full reading. A row counts only for a file of the same size, times and
inode; a file that changed in the last two seconds gets none, for it may change again within the same tick of the clock (as git does).
Rows are written when a version is committed, never before.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

RACY_NANOSECONDS = 2_000_000_000
FORGOTTEN_SECONDS = 100 * 86_400
"""Folders that no capture has seen for so long are forgotten."""
BUSY_SECONDS = 60.0
FORMAT = 1
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})

TABLES = """
CREATE TABLE IF NOT EXISTS folders (id INTEGER PRIMARY KEY, path BLOB UNIQUE, seen INTEGER);
CREATE TABLE IF NOT EXISTS files (
    folder INTEGER, name BLOB, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, digest BLOB, pack BLOB,
    PRIMARY KEY (folder, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members (digest BLOB PRIMARY KEY, pack BLOB) WITHOUT ROWID;
"""
FRESH = """
CREATE TEMP TABLE fresh_files (
    path BLOB, name BLOB, size INTEGER, mtime INTEGER, ctime INTEGER, inode INTEGER, digest BLOB, pack BLOB, ordinal INTEGER);
CREATE TEMP TABLE fresh_members (digest BLOB PRIMARY KEY, ordinal INTEGER) WITHOUT ROWID;
CREATE TEMP TABLE fresh_packs (ordinal INTEGER PRIMARY KEY, name BLOB);
CREATE TEMP TABLE fresh_folders (path BLOB PRIMARY KEY) WITHOUT ROWID;
"""
KEEP = """
INSERT INTO folders (path, seen) SELECT path, {now} FROM fresh_folders WHERE true ON CONFLICT (path) DO UPDATE SET seen = excluded.seen;
INSERT OR REPLACE INTO files SELECT folders.id, name_, size, mtime, ctime, inode, digest, pack_ FROM (
    SELECT f.path AS path_, f.name AS name_, size, mtime, ctime, inode, digest, coalesce(p.name, f.pack) AS pack_
    FROM fresh_files AS f LEFT JOIN fresh_packs AS p USING (ordinal)) JOIN folders ON folders.path = path_;
INSERT OR REPLACE INTO members SELECT digest, name FROM fresh_members JOIN fresh_packs USING (ordinal);
DELETE FROM files WHERE folder IN (SELECT id FROM folders WHERE seen < {then});
DELETE FROM folders WHERE seen < {then};
"""


class KnownFile(NamedTuple):
    """One row: what a file was, and where its content is."""

    name: bytes
    size: int
    mtime: int
    ctime: int
    inode: int
    digest: bytes
    pack: bytes | None
    """Digest that names the pack; None for a blob."""

    def fits(self, status: os.stat_result) -> bool:
        """Whether the file is still what it was."""
        found: tuple[int, ...] = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        return found == self[1:5]


@dataclass(frozen=True, slots=True)
class Fresh:
    """A file that was read by this capture; its pack is known by name, or by ordinal while it is being written."""

    folder: bytes
    name: bytes
    status: os.stat_result
    digest: bytes
    pack: bytes | None
    ordinal: int | None


class KnownFiles:
    """One capture's view of the cache; used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = self._open()
        self._now = time.time_ns()

    @property
    def is_new(self) -> bool:
        """Whether it knows no pack at all."""
        return self._connection.execute("SELECT 1 FROM members LIMIT 1").fetchone() is None

    def learn(self, pack: str, digests: Iterable[str]) -> None:
        """What a pack of the store holds, told by the store itself; kept at once."""
        rows = ((bytes.fromhex(digest), bytes.fromhex(pack)) for digest in digests)
        with self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", rows)

    def in_folder(self, folder: bytes) -> Iterator[KnownFile]:
        """The rows of one folder, sorted by name."""
        self._connection.execute("INSERT OR IGNORE INTO fresh_folders VALUES (?)", (folder,))
        query = (
            "SELECT name, size, mtime, ctime, inode, digest, pack FROM files "
            "WHERE folder = (SELECT id FROM folders WHERE path = ?) ORDER BY name"
        )
        return map(KnownFile._make, self._connection.execute(query, (folder,)))

    def pack_of(self, digest: bytes) -> tuple[bytes | None, int | None]:
        """The pack that holds a small file: one of the store by name, one of this capture by ordinal, or neither."""
        row = self._connection.execute("SELECT ordinal FROM fresh_members WHERE digest = ?", (digest,)).fetchone()
        if row is not None:
            return None, row[0]
        row = self._connection.execute("SELECT pack FROM members WHERE digest = ?", (digest,)).fetchone()
        return (row[0], None) if row is not None else (None, None)

    def packed(self, digest: bytes, ordinal: int) -> None:
        """A small file was put into a pack of this capture."""
        self._connection.execute("INSERT OR REPLACE INTO fresh_members VALUES (?, ?)", (digest, ordinal))

    def note(self, fresh: Fresh) -> None:
        """Remember a file, unless its clock has not ticked since."""
        status = fresh.status
        if max(status.st_mtime_ns, status.st_ctime_ns) > self._now - RACY_NANOSECONDS:
            return
        row = (
            fresh.folder,
            fresh.name,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
            fresh.digest,
            fresh.pack,
            fresh.ordinal,
        )
        self._connection.execute("INSERT INTO fresh_files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def keep(self, packs: Iterable[str]) -> None:
        """The version is committed: what was found out counts from now on. Trouble here costs time later, never a version."""
        names = ((ordinal, bytes.fromhex(name)) for ordinal, name in enumerate(packs))
        now = int(time.time())
        with suppress(sqlite3.Error):
            self._connection.executemany("INSERT INTO fresh_packs VALUES (?, ?)", names)
            self._connection.commit()
            script = KEEP.format(now=now, then=now - FORGOTTEN_SECONDS)
            self._connection.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")

    def close(self) -> None:
        """Forget what was not kept."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        """A damaged cache is made anew; one that cannot be used now is done without."""
        try:
            return _connect(self._path)
        except sqlite3.Error as trouble:
            if getattr(trouble, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) not in DAMAGED:
                return _connect(Path(":memory:"))
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        return _connect(self._path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        known = connection.execute("PRAGMA user_version").fetchone()[0]
        if known not in (0, FORMAT):
            raise sqlite3.DatabaseError("another format")
        connection.executescript(TABLES + FRESH + f"PRAGMA user_version = {FORMAT}")
        with closing(connection.execute("SELECT 1 FROM files, folders, members LIMIT 1")) as cursor:
            cursor.fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
