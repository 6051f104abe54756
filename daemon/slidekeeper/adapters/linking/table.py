"""The linking table's rows and transactions; synchronous, one thread at a time.

``numbers`` holds every number that was ever drawn and only grows: a number whose link is removed one day is not drawn again.
A claim that was taken over keeps its revision with no content, so that a revision is given once as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slidekeeper.adapters.linking.sealing import KEY_VERSION, Seal
from slidekeeper.errors import Refused, Temporary
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.identity import PackId, SlideNumber, new_slide_number
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import Claim, KnownContent, NewRevision

APPLICATION_ID = 0x534C4C31
"""Marks the file as ours in SQLite's header ("SLL1")."""

CHECK_VALUE = b"slidekeeper"
"""Sealed when the table is made; a key that does not open it belongs to another table."""

MIGRATIONS = (
    """
    CREATE TABLE seal_check (sealed BLOB NOT NULL);
    CREATE TABLE numbers (number TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE links (
        domain TEXT NOT NULL CHECK (domain IN ('slide', 'case', 'patient')),
        lookup BLOB NOT NULL,
        number TEXT NOT NULL UNIQUE REFERENCES numbers,
        sealed BLOB NOT NULL,
        key_version INTEGER NOT NULL,
        PRIMARY KEY (domain, lookup)
    );
    CREATE TABLE original_names (
        lookup BLOB NOT NULL,
        number TEXT NOT NULL REFERENCES numbers,
        sealed BLOB NOT NULL,
        key_version INTEGER NOT NULL,
        PRIMARY KEY (lookup, number)
    );
    CREATE TABLE claims (
        number TEXT NOT NULL REFERENCES numbers,
        revision INTEGER NOT NULL,
        content BLOB UNIQUE,
        pack TEXT NOT NULL,
        PRIMARY KEY (number, revision)
    );
    """,
)
"""Each brings the schema one version further; SQLite's ``user_version`` says how many a file has seen."""


class LinkingTable:
    """Get-or-create of numbers and claims, each in one durable transaction."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal

    @classmethod
    def open(cls, path: Path, seal: Seal) -> LinkingTable:
        """Open or make the table.

        Raises:
            Refused: the key does not belong to it, a newer version wrote it, or it is a database of another program.
            sqlite3.Error: it is damaged, or its disk cannot be used.
        """
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        table = cls(connection, seal)
        try:
            version = table._check_version()  # before anything is written: a database of somebody else stays as it is
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")
            table._migrate(version)
            table._check_key()
        except (sqlite3.Error, Refused):
            connection.close()
            raise
        return table

    def slide_number(self, barcode: Barcode, original_name: Concealed[str] | None) -> SlideNumber:
        """The barcode's number, drawn when it is first asked for; keeps the original file name, sealed, with it."""
        with self._transaction():
            number = self._number_of("slide", _bytes(barcode))
            if original_name is not None:
                self._keep_name(number, _bytes(original_name))
            return number

    def claim(self, number: SlideNumber, content: str, pack: PackId) -> Claim:
        """Bind content to the next revision of ``number``, or say who has it."""
        lookup = self._content(content)
        with self._transaction():
            claimed = self._claimed(lookup)
            if claimed is None:
                return self._add_claim(number, lookup, pack)
            is_own = claimed.owner == pack and claimed.number == number
            return NewRevision(number, claimed.revision) if is_own else claimed

    def take_over(self, content: str, owner: PackId, pack: PackId, number: SlideNumber) -> NewRevision:
        """Give ``pack`` the claim of an ``owner`` whose slide never reached the bucket; the same pack may ask again.

        Raises:
            Temporary: somebody else took the claim over in the meantime.
        """
        lookup = self._content(content)
        with self._transaction():
            claimed = self._claimed(lookup)
            if claimed and claimed.owner == pack and claimed.number == number:
                return NewRevision(number, claimed.revision)
            if claimed and claimed.owner not in {owner, pack}:
                raise Temporary("claim-moved", "another pack with the same content was quicker")
            self._connection.execute("UPDATE claims SET content = NULL WHERE content = ?", (lookup,))
            return self._add_claim(number, lookup, pack)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _number_of(self, domain: str, value: bytes) -> SlideNumber:
        lookup = self._seal.keyed_hash(domain, value)
        row = self._connection.execute("SELECT number FROM links WHERE domain = ? AND lookup = ?", (domain, lookup)).fetchone()
        if row:
            return SlideNumber(row[0])
        number = self._draw()
        link = (domain, lookup, number, self._seal.seal(domain, value), KEY_VERSION)
        self._connection.execute("INSERT INTO links VALUES (?, ?, ?, ?, ?)", link)
        return number

    def _draw(self) -> SlideNumber:
        """A number that was never drawn before."""
        while True:
            number = new_slide_number()
            if self._connection.execute("INSERT INTO numbers VALUES (?) ON CONFLICT DO NOTHING", (number,)).rowcount:
                return number

    def _keep_name(self, number: SlideNumber, name: bytes) -> None:
        """Several files may have borne the barcode; each name is kept once."""
        lookup = self._seal.keyed_hash("name", name)
        known = self._connection.execute("SELECT 1 FROM original_names WHERE lookup = ? AND number = ?", (lookup, number)).fetchone()
        if not known:
            row = (lookup, number, self._seal.seal("name", name), KEY_VERSION)
            self._connection.execute("INSERT INTO original_names VALUES (?, ?, ?, ?)", row)

    def _content(self, digest: str) -> bytes:
        return self._seal.keyed_hash("content", digest.encode())

    def _claimed(self, content: bytes) -> KnownContent | None:
        row = self._connection.execute("SELECT number, revision, pack FROM claims WHERE content = ?", (content,)).fetchone()
        return KnownContent(SlideNumber(row[0]), row[1], PackId(row[2])) if row else None

    def _add_claim(self, number: SlideNumber, content: bytes, pack: PackId) -> NewRevision:
        newest = self._connection.execute("SELECT coalesce(max(revision), 0) FROM claims WHERE number = ?", (number,)).fetchone()[0]
        self._connection.execute("INSERT INTO claims VALUES (?, ?, ?, ?)", (number, newest + 1, content, pack))
        return NewRevision(number, newest + 1)

    def _check_version(self) -> int:
        """The number of migrations that the file has seen; 0 for a new one."""
        application = self._connection.execute("PRAGMA application_id").fetchone()[0]
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        tables = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if tables and application != APPLICATION_ID:
            detail = "linking.sqlite is a database of another program"
            raise Refused("not-a-linking-table", detail, "Move it away, or correct [site] state")
        if version > len(MIGRATIONS):
            detail = f"the linking table has schema {version}, this version knows {len(MIGRATIONS)}"
            raise Refused("linking-too-new", detail, "Install the newer Slidekeeper again")
        return int(version)

    def _migrate(self, version: int) -> None:
        if version < len(MIGRATIONS):
            header = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(MIGRATIONS)};"
            self._connection.executescript(f"BEGIN IMMEDIATE; {''.join(MIGRATIONS[version:])} {header}")
            if version == 0:
                self._connection.execute("INSERT INTO seal_check VALUES (?)", (self._seal.seal("check", CHECK_VALUE),))
            self._connection.execute("COMMIT")

    def _check_key(self) -> None:
        self._seal.open("check", self._connection.execute("SELECT sealed FROM seal_check").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit what the block wrote, or none of it when it raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def _bytes(text: Concealed[str]) -> bytes:
    """UTF-8; bytes of a file name that are none come back as they were (PEP 383)."""
    return text.reveal().encode("utf-8", "surrogateescape")
