"""Tables of the journal, and how an existing file is opened.

``packs.lane`` and ``packs.command`` hold what is to be done next; ``lane_seq`` is the event that ordered it, so that a lane can
read on from where it was. ``tallies`` counts packs per batch and state within the same transaction, so that no count ever scans.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from slidekeeper.errors import Refused

VERSION = 1

TABLES = """
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
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    detail TEXT NOT NULL DEFAULT '',
    arrived TEXT NOT NULL,
    updated TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX packs_by_lane ON packs (lane, lane_seq) WHERE lane IS NOT NULL;
CREATE INDEX packs_by_state ON packs (state, pack);
CREATE TABLE batches (
    batch TEXT PRIMARY KEY,
    drop_name TEXT NOT NULL,
    state TEXT NOT NULL,
    opened_seq INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX batches_by_state ON batches (state, opened_seq);
CREATE TABLE tallies (
    batch TEXT NOT NULL,
    state TEXT NOT NULL,
    packs INTEGER NOT NULL,
    PRIMARY KEY (batch, state)
) WITHOUT ROWID;
CREATE TABLE totals (state TEXT PRIMARY KEY, packs INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (seq INTEGER PRIMARY KEY);
"""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The writer's connection; makes the file and its tables where there are none.

    Raises:
        Refused: the file is damaged, no journal, or written by a newer version.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    except sqlite3.DatabaseError as damage:
        connection.close()
        raise _damaged(damage) from None
    if version > VERSION:
        connection.close()
        raise Refused("journal-too-new", f"the journal has schema {version}, this version knows {VERSION}", "Install the newer Slidekeeper again")
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write and makes no file.

    Raises:
        Refused: there is no journal, or it is damaged.
    """
    if not path.is_file():
        raise Refused("no-journal", "this site has never run", "Start it: `slidekeeper run`")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("SELECT 1 FROM events LIMIT 1")
    except sqlite3.DatabaseError as damage:
        connection.close()
        raise _damaged(damage) from None
    return connection


def _damaged(damage: sqlite3.Error) -> Refused:
    return Refused("journal-damaged", f"SQLite says {damage.sqlite_errorname}", "Restore state/journal.sqlite from its backup; see docs/operations.md")
