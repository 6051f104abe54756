"""Tables of the journal, and how its file is opened.

``lane`` and ``command`` of packs, records, stagings and runs hold what is to be done next; ``lane_seq`` is the event that ordered it, so
that a lane can read on from where it was. ``tallies`` counts packs per batch and state, and under the empty batch those of all batches,
within the same transaction: no count ever scans. Times are ISO 8601 with offset.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from slidekeeper.adapters.journal.troubles import sorted_troubles
from slidekeeper.errors import Refused

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
    """
    CREATE TABLE records (
        records TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        revision INTEGER NOT NULL,
        batch TEXT NOT NULL,
        alignment INTEGER NOT NULL,
        lane TEXT,
        lane_seq INTEGER,
        command TEXT,
        attempts INTEGER NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        arrived TEXT NOT NULL,
        updated TEXT NOT NULL
    );
    CREATE INDEX records_by_lane ON records (lane, lane_seq) WHERE lane IS NOT NULL;
    CREATE INDEX records_by_state ON records (state, records);
    """,
    """
    CREATE TABLE stagings (
        staging TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        name TEXT NOT NULL,
        tier TEXT NOT NULL,
        ordered_by TEXT NOT NULL,
        cohort TEXT NOT NULL,
        facts TEXT,
        lane TEXT,
        lane_seq INTEGER,
        command TEXT,
        attempts INTEGER NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        ordered TEXT NOT NULL,
        updated TEXT NOT NULL
    );
    CREATE INDEX stagings_by_lane ON stagings (lane, lane_seq) WHERE lane IS NOT NULL;
    CREATE INDEX stagings_by_state ON stagings (state, staging);
    CREATE INDEX stagings_by_name ON stagings (name);
    CREATE TABLE runs (
        run TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        project TEXT NOT NULL,
        folder TEXT NOT NULL,
        place TEXT NOT NULL,
        marker TEXT,
        seen TEXT,
        facts TEXT,
        lane TEXT,
        lane_seq INTEGER,
        command TEXT,
        attempts INTEGER NOT NULL,
        reason TEXT NOT NULL,
        detail TEXT NOT NULL,
        appeared TEXT NOT NULL,
        updated TEXT NOT NULL
    );
    CREATE INDEX runs_by_lane ON runs (lane, lane_seq) WHERE lane IS NOT NULL;
    CREATE INDEX runs_by_state ON runs (state, run);
    CREATE INDEX runs_by_folder ON runs (folder);
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
    with sorted_troubles(), ExitStack() as on_failure:
        connection = on_failure.enter_context(closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)))
        version = _check_version(connection)  # before anything is written: a database of somebody else stays as it is
        _write_ahead(connection)
        _migrate(connection, version)
        on_failure.pop_all()
    return connection


def open_beside_writer(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, while a writer in this process keeps the file open.

    Raises:
        Unavailable: the disk is failing.
    """
    with sorted_troubles():
        return _open_for_reading(path, "mode=ro")


def open_at_rest(path: Path) -> sqlite3.Connection:
    """A connection that cannot write and makes no file, while no daemon runs.

    Raises:
        Refused: there is no journal, or it is damaged or written by a newer version.
        Unavailable: the disk is failing.
    """
    if not path.is_file():
        raise _no_journal()
    log = path.with_name(f"{path.name}-wal")
    # Without a log to read, `immutable` keeps SQLite from making one; with a log (after a crash) it must be read, or news would be missed.
    crashed = log.exists() and log.stat().st_size > 0
    with sorted_troubles(), ExitStack() as on_failure:
        connection = on_failure.enter_context(closing(_open_for_reading(path, "mode=ro" if crashed else "mode=ro&immutable=1")))
        if _check_version(connection) == 0:  # a first start was killed before it made the tables
            raise _no_journal()
        on_failure.pop_all()
    return connection


def _open_for_reading(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, isolation_level=None, check_same_thread=False)


def _write_ahead(connection: sqlite3.Connection) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise Refused("journal-not-local", "this file system cannot hold a write-ahead log", "Put [site] state on a local disk")
    connection.executescript(WRITER_PRAGMAS)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
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


def _no_journal() -> Refused:
    return Refused("no-journal", "this site has never run", "Start it: `slidekeeper run`")
