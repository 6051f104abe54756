"""The linking table's file: its tables, how an older file is brought up to date, and which key opens it.

``numbers`` holds every number that was ever drawn and only grows: a number whose link is removed one day is not drawn again.
A claim that was taken over keeps its revision with no content, so that a revision is given once as well. References are not checked by
SQLite: a link's number was drawn in the same transaction, and checking that again costs a tenth of the time of many.
"""

from __future__ import annotations

import sqlite3
from itertools import chain

from slidekeeper.adapters.linking.sealing import RESTORE, Ring, Seal, as_bytes, as_text, fingerprint, first_schema_ring, new_ring, unwrapped
from slidekeeper.errors import Refused
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.naming import alias_form

APPLICATION_ID = 0x534C4C31
"""Marks the file as ours in SQLite's header ("SLL1")."""

CHECK_VALUE = b"slidekeeper"
"""What the first schema sealed to know its key again."""

MIGRATIONS = (
    """
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
    """
    CREATE TABLE keyring (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        version INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        wrapped BLOB NOT NULL
    );
    CREATE INDEX names_of ON original_names (number);
    CREATE TABLE aliases (
        lookup BLOB NOT NULL,
        number TEXT NOT NULL REFERENCES numbers,
        PRIMARY KEY (lookup, number)
    ) WITHOUT ROWID;
    CREATE INDEX aliases_of ON aliases (number);
    CREATE TABLE offsets (
        number TEXT PRIMARY KEY REFERENCES numbers,
        sealed BLOB NOT NULL,
        key_version INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE withdrawn (
        domain TEXT NOT NULL,
        lookup BLOB NOT NULL,
        PRIMARY KEY (domain, lookup)
    ) WITHOUT ROWID;
    """,
)
"""Each brings the schema one version further; SQLite's ``user_version`` says how many a file has seen."""

WORKING_TABLES = """
    PRAGMA temp_store = MEMORY;
    CREATE TEMP TABLE fresh (lookup NOT NULL, number NOT NULL, sealed NOT NULL);
"""
"""Links under way: numbers, keyed hashes and sealed values, never bare ones."""

CACHE = "PRAGMA cache_size = -131072"
"""128 MiB at most, taken page by page when many values come at once: keyed hashes fall anywhere in their index."""


def open_for_writing(connection: sqlite3.Connection, key: Concealed[bytes]) -> Seal:
    """Make the tables or bring them up to date.

    Raises:
        Refused: the key is not the table's, a newer version wrote it, or it is a database of another program.
    """
    version = _version(connection)  # before anything is written: a database of somebody else stays as it is
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    if version < len(MIGRATIONS):
        _migrate(connection, key, version)
    connection.execute(CACHE)
    connection.executescript(WORKING_TABLES)
    return Seal(_ring(connection, key))


def open_for_reading(connection: sqlite3.Connection, key: Concealed[bytes]) -> Seal:
    """Get ready for questions on a connection that cannot write.

    Raises:
        Refused: as for :func:`open_for_writing`, or the table is of an older version.
    """
    if _version(connection) < len(MIGRATIONS):
        raise Refused("linking-outdated", "the linking table is of an older version", "Start the daemon once")
    connection.execute(CACHE)
    connection.executescript(WORKING_TABLES)
    return Seal(_ring(connection, key))


def save_ring(connection: sqlite3.Connection, ring: Ring, key: Concealed[bytes]) -> None:
    """Put the ring in the place of the one before."""
    row = (ring.version, fingerprint(key), ring.wrapped(key))
    connection.execute("INSERT OR REPLACE INTO keyring VALUES (1, ?, ?, ?)", row)


def _version(connection: sqlite3.Connection) -> int:
    """The number of migrations that the file has seen; 0 for a new one."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and application != APPLICATION_ID:
        detail = "linking.sqlite is a database of another program"
        raise Refused("not-a-linking-table", detail, "Move it away, or correct [site] state")
    if version > len(MIGRATIONS):
        detail = f"the linking table has schema {version}, this version knows {len(MIGRATIONS)}"
        raise Refused("linking-too-new", detail, "Install the newer Slidekeeper again")
    return int(version)


def _ring(connection: sqlite3.Connection, key: Concealed[bytes]) -> Ring:
    version, expected, wrapped = connection.execute("SELECT version, fingerprint, wrapped FROM keyring").fetchone()
    ring = unwrapped(key, version, wrapped)
    if ring is None:
        detail = f"the linking table is sealed under key {version} ({expected}), not under this one ({fingerprint(key)})"
        raise Refused("key-wrong", detail, RESTORE)
    return ring


def _migrate(connection: sqlite3.Connection, key: Concealed[bytes], version: int) -> None:
    """One transaction; when it raises, closing the connection takes it back."""
    header = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {len(MIGRATIONS)};"
    connection.executescript(f"BEGIN IMMEDIATE; {''.join(MIGRATIONS[version:])} {header}")
    if version == 0:
        save_ring(connection, new_ring(), key)
    else:
        _adopt_first_schema(connection, key)
    connection.execute("COMMIT")


def _adopt_first_schema(connection: sqlite3.Connection, key: Concealed[bytes]) -> None:
    """The derived keys become the first ring, so that no value is sealed anew; every slide gets its aliases."""
    seal = Seal(first_schema_ring(key))
    seal.open("check", connection.execute("SELECT sealed FROM seal_check").fetchone()[0])
    connection.execute("DROP TABLE seal_check")
    save_ring(connection, seal.ring, key)
    barcodes = (("slide", *row) for row in connection.execute("SELECT number, sealed FROM links WHERE domain = 'slide'"))
    names = (("name", *row) for row in connection.execute("SELECT number, sealed FROM original_names"))
    for domain, number, sealed in chain(barcodes, names):
        form = alias_form(as_text(seal.open(domain, sealed)))
        row = (seal.keyed_hash("alias", as_bytes(form)), number)
        connection.execute("INSERT OR IGNORE INTO aliases VALUES (?, ?)", row)
