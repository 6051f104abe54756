"""The restricted index of records, in the same file as that of packs: the folders of both are named after the same sessions."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from slidekeeper.adapters.drop.index import connect
from slidekeeper.errors import Unavailable
from slidekeeper.model.identity import BatchId
from slidekeeper.model.phi import FileIdentity, Member, RecordsFiles, RelativePath, Role, SourceFile
from slidekeeper.model.records import RecordsId

T = TypeVar("T")

TABLES = """
CREATE TABLE IF NOT EXISTS records (records TEXT PRIMARY KEY, folder BLOB NOT NULL UNIQUE, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records_files (
    records TEXT, source TEXT, path BLOB, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, PRIMARY KEY (records, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records_position (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS batches_by_folder ON batches (folder);
"""


class SqliteKnownRecords:
    """Implements :class:`slidekeeper.ports.deliveries.KnownRecords`; all use of the connection happens in its one thread."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.executescript(TABLES)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="records-index")

    async def find(self, records: RecordsId) -> RecordsFiles | None:
        """The files of one batch's records."""
        return await self._call(self._find, "records", records)

    async def in_folder(self, folder: bytes) -> RecordsFiles | None:
        """The records that were delivered in this folder."""
        return await self._call(self._find, "folder", folder)

    async def remember(self, files: RecordsFiles) -> None:
        """Insert or replace."""
        await self._call(self._remember, files)

    async def batches(self, folder: bytes) -> Sequence[BatchId]:
        """All image batches of this folder."""
        rows = await self._call(self._rows, "SELECT batch FROM batches WHERE folder = ?", (folder,))
        return [BatchId(batch) for (batch,) in rows]

    async def of_batches(self, batches: Sequence[BatchId]) -> Sequence[RecordsId]:
        """Records of these batches' sessions."""
        query = "SELECT DISTINCT records FROM records JOIN batches USING (folder) WHERE batch IN (SELECT value FROM json_each(?))"
        rows = await self._call(self._rows, query, (json.dumps(list(batches)),))
        return [RecordsId(records) for (records,) in rows]

    async def watched_to(self) -> int:
        """Where the search for late slides stands."""
        rows = await self._call(self._rows, "SELECT seq FROM records_position", ())
        return int(rows[0][0]) if rows else 0

    async def watch_from(self, seq: int) -> None:
        """Move on."""
        upsert = "INSERT INTO records_position VALUES (1, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq"
        await self._call(self._rows, upsert, (seq,))

    async def close(self) -> None:
        """Close the connection."""
        await self._call(self._connection.close)
        self._thread.shutdown()

    def _find(self, column: str, value: object) -> RecordsFiles | None:
        rows = self._rows(f"SELECT records, revision, folder FROM records WHERE {column} = ?", (value,))  # noqa: S608 - our own names
        if not rows:
            return None
        records, revision, folder = rows[0]
        query = "SELECT source, path, size, mtime_ns, ctime_ns FROM records_files WHERE records = ? ORDER BY source, path"
        files = [
            SourceFile(source, Member(RelativePath(path), Role.TABLE, FileIdentity(*identity)))
            for source, path, *identity in self._rows(query, (records,))
        ]
        return RecordsFiles(RecordsId(records), revision, RelativePath(folder), tuple(files))

    def _remember(self, files: RecordsFiles) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            upsert = "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (records) DO UPDATE SET revision = excluded.revision"
            self._connection.execute(upsert, (files.records, files.folder.reveal(), files.revision))
            self._connection.execute("DELETE FROM records_files WHERE records = ?", (files.records,))
            self._connection.executemany("INSERT INTO records_files VALUES (?, ?, ?, ?, ?, ?)", [_row(files, file) for file in files.files])
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        return self._connection.execute(query, values).fetchall()

    async def _call(self, action: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, action, *arguments)
        except sqlite3.Error as trouble:
            name = getattr(trouble, "sqlite_errorname", type(trouble).__name__)
            raise Unavailable("state", "records-index", name, "Free space on the state's disk") from None


def _row(files: RecordsFiles, file: SourceFile) -> Sequence[object]:
    identity = file.member.identity
    return files.records, file.source, file.member.path.reveal(), identity.size, identity.mtime_ns, identity.ctime_ns
