"""The linking table's rows and transactions; synchronous, one thread at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from slidekeeper.adapters.linking.sealing import KEY_VERSION, Seal
from slidekeeper.errors import Refused
from slidekeeper.model.identity import PackId, SlideNumber, new_slide_number
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import Claim, KnownContent, NewRevision

VERSION = 1
CHECK = b"slidekeeper"

TABLES = """
CREATE TABLE seal (checked BLOB NOT NULL);
CREATE TABLE links (
    domain TEXT NOT NULL,
    lookup BLOB NOT NULL,
    number TEXT NOT NULL UNIQUE,
    sealed BLOB NOT NULL,
    key_version INTEGER NOT NULL,
    PRIMARY KEY (domain, lookup)
) WITHOUT ROWID;
CREATE TABLE claims (
    content BLOB PRIMARY KEY,
    number TEXT NOT NULL,
    revision INTEGER NOT NULL,
    pack TEXT NOT NULL,
    UNIQUE (number, revision)
) WITHOUT ROWID;
"""


class LinkingTable:
    """Get-or-create of numbers and claims, each in one durable transaction."""

    def __init__(self, path: Path, seal: Seal) -> None:
        """Open or make the table.

        Raises:
            Refused: the key does not belong to it, it is damaged, or a newer version wrote it.
        """
        self._seal = seal
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA secure_delete = ON")
            self._prepare()
        except sqlite3.DatabaseError as damage:
            self._connection.close()
            remedy = "Restore identified/linking.sqlite from the broker's backup"
            raise Refused("linking-damaged", f"SQLite says {damage.sqlite_errorname}", remedy) from None
        except Refused:
            self._connection.close()
            raise

    def slide_number(self, barcode: Barcode) -> SlideNumber:
        """The barcode's number, drawn when it is first asked for."""
        value = barcode.reveal().encode()
        lookup = self._seal.keyed_hash("slide", value)
        with self._transaction():
            row = self._connection.execute("SELECT number FROM links WHERE domain = 'slide' AND lookup = ?", (lookup,)).fetchone()
            if row:
                return SlideNumber(row[0])
            number = self._draw()
            self._connection.execute(
                "INSERT INTO links VALUES ('slide', ?, ?, ?, ?)", (lookup, number, self._seal.seal("slide", value), KEY_VERSION)
            )
            return number

    def claim(self, number: SlideNumber, content: str, pack: PackId) -> Claim:
        """Bind content to the next revision of ``number``, or say who has it."""
        lookup = self._seal.keyed_hash("content", content.encode())
        with self._transaction():
            row = self._connection.execute("SELECT number, revision, pack FROM claims WHERE content = ?", (lookup,)).fetchone()
            if row is None:
                return self._insert_claim(lookup, number, pack)
            known, revision, owner = row
            if owner == pack and known == number:
                return NewRevision(number, revision)
            return KnownContent(SlideNumber(known), revision, PackId(owner))

    def take_over(self, content: str, owner: PackId, pack: PackId, number: SlideNumber) -> NewRevision:
        """Give ``pack`` the claim of an ``owner`` whose slide never reached the bucket."""
        lookup = self._seal.keyed_hash("content", content.encode())
        with self._transaction():
            self._connection.execute("DELETE FROM claims WHERE content = ? AND pack = ?", (lookup, owner))
            return self._insert_claim(lookup, number, pack)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _insert_claim(self, lookup: bytes, number: SlideNumber, pack: PackId) -> NewRevision:
        newest = self._connection.execute("SELECT coalesce(max(revision), 0) FROM claims WHERE number = ?", (number,)).fetchone()[0]
        self._connection.execute("INSERT INTO claims VALUES (?, ?, ?, ?)", (lookup, number, newest + 1, pack))
        return NewRevision(number, newest + 1)

    def _draw(self) -> SlideNumber:
        """A number that was never used before."""
        while True:
            number = new_slide_number()
            if self._connection.execute("SELECT 1 FROM links WHERE number = ?", (number,)).fetchone() is None:
                return number

    def _prepare(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION};")
            self._connection.execute("INSERT INTO seal VALUES (?)", (self._seal.seal("check", CHECK),))
            self._connection.execute("COMMIT")
        elif version > VERSION:
            raise Refused("linking-too-new", f"the linking table has schema {version}, this version knows {VERSION}", "Install the newer version")
        self._seal.open("check", self._connection.execute("SELECT checked FROM seal").fetchone()[0])

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)


class _Transaction:
    """``BEGIN IMMEDIATE`` … ``COMMIT``, or ``ROLLBACK`` when the block raises."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._connection.execute("COMMIT")
        elif self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
