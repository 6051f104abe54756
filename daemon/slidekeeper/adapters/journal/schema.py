"""Tables of the journal, and how its file is opened.

``packs.lane`` and ``packs.command`` hold what is to be done next; ``lane_seq`` is the event that ordered it, so that a lane can
read on from where it was. ``tallies`` counts packs per batch and state, and under the empty batch those of all batches, within
the same transaction: no count ever scans. Times are ISO 8601 with offset.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from slidekeeper.adapters.journal.troubles import damaged, passing_trouble
from slidekeeper.errors import Refused, SlidekeeperError, Unavailable

APPLICATION_ID = 0x534C4A31
"""Marks the file as ours in SQLite's header ("SLJ1")."""

MIGRATIONS = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        time TEXT NOT NULL,
        type TEXT NOT NULL,
        subject TEXT NOT NULL,
        data TEXT NOT NULL
    );
    CREATE INDEX events_by_type ON events (type, seq);
    CREATE TABLE packs (
        pack TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        drop_name TEXT NOT NULL,
        batch TEXT NOT NULL,
        lane TEXT,
        lane_seq INTEGER,
        command TEXT,
        attempts INTEGER NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        arrived TEXT NOT NULL,
        updated TEXT NOT NULL
    );
    CREATE INDEX packs_by_lane ON packs (lane, lane_seq) WHERE lane IS NOT NULL;
    CREATE INDEX packs_by_state ON packs (state, pack);
    CREATE TABLE batches (batch TEXT PRIMARY KEY, drop_name TEXT NOT NULL, state TEXT NOT NULL, opened_seq INTEGER NOT NULL);
    CREATE INDEX batches_by_state ON batches (state, opened_seq);
    CREATE TABLE tallies (batch TEXT, state TEXT, packs INTEGER NOT NULL, PRIMARY KEY (batch, state)) WITHOUT ROWID;
    CREATE TABLE outbox (seq INTEGER PRIMARY KEY);
    """,
)
"""Each brings the schema one version further; SQLite's ``user_version`` says how many a file has seen."""

WRITER_PRAGMAS = """
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
"""
"""FULL makes every commit durable. The log is folded in after 16 MB and cut back to 64 MB after a burst."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The writer's connection; makes the file and its tables where there are none.

    Raises:
        Refused: the file is damaged, no journal, or written by a newer version.
        Unavailable: the disk is full, read-only or failing.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(connection)
        _migrate(connection)
    except (sqlite3.Error, SlidekeeperError) as error:
        connection.close()
        raise _explained(error) from None
    return connection


def open_beside_writer(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, while a writer in this process keeps the file open."""
    return _open_for_reading(path, "mode=ro")


def open_at_rest(path: Path) -> sqlite3.Connection:
    """A connection that cannot write and makes no file, while no daemon runs.

    Raises:
        Refused: there is no journal, or it is damaged or written by a newer version.
    """
    if not path.is_file():
        raise Refused("no-journal", "this site has never run", "Start it: `slidekeeper run`")
    log = path.with_name(f"{path.name}-wal")
    # Without a log to read, `immutable` keeps SQLite from making one; with a log (after a crash) it must be read, or news would be missed.
    crashed = log.exists() and log.stat().st_size > 0
    connection = _open_for_reading(path, "mode=ro" if crashed else "mode=ro&immutable=1")
    try:
        _check_version(connection)
    except (sqlite3.Error, SlidekeeperError) as error:
        connection.close()
        raise _explained(error) from None
    return connection


def _open_for_reading(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, isolation_level=None, check_same_thread=False)


def _write_ahead(connection: sqlite3.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise Refused("journal-not-local", "this file system cannot hold a write-ahead log", "Put [site] state on a local disk")
    connection.executescript(WRITER_PRAGMAS)


def _migrate(connection: sqlite3.Connection) -> None:
    version = _check_version(connection)
    for number, statements in enumerate(MIGRATIONS[version:], version + 1):
        header = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
        connection.executescript(f"BEGIN IMMEDIATE; {statements} {header} COMMIT;")


def _check_version(connection: sqlite3.Connection) -> int:
    """The number of migrations that the file has seen; 0 for a new one."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise Refused("not-a-journal", "journal.sqlite is a database of another program", "Move it away, or correct [site] state")
    if version > len(MIGRATIONS):
        detail = f"the journal has schema {version}, this version knows {len(MIGRATIONS)}"
        raise Refused("journal-too-new", detail, "Install the newer Slidekeeper again")
    return int(version)


def _explained(error: sqlite3.Error | SlidekeeperError) -> SlidekeeperError:
    if isinstance(error, SlidekeeperError):
        return error
    trouble = passing_trouble(error)
    return Unavailable("state", trouble, "the journal cannot be opened", "Mend the state's disk") if trouble else damaged(error)
