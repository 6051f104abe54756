"""SQLite's errors, sorted: those that pass when somebody mends the disk, and those that mean damage."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from slidekeeper.errors import Refused, Unavailable

PASSING = {
    sqlite3.SQLITE_FULL: "disk-full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_IOERR: "io-error",
    sqlite3.SQLITE_CANTOPEN: "cannot-open",
    sqlite3.SQLITE_PERM: "no-permission",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
}
PRIMARY_CODE = 0xFF
"""Extended result codes carry their primary code in the low byte (SQLite, "Result and Error Codes")."""


def passing_trouble(error: sqlite3.Error) -> str:
    """Why it makes sense to try again later, or an empty string when it does not."""
    return PASSING.get(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & PRIMARY_CODE, "")


def damaged(error: sqlite3.Error) -> Refused:
    """The error as operators see it; SQLite's own text is left out, for it may quote data."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return Refused("journal-damaged", f"SQLite says {name}", "Restore journal.sqlite from its backup")


@contextmanager
def sorted_troubles() -> Iterator[None]:
    """Let no error of SQLite out of the block as it is.

    Raises:
        Unavailable: what passes when somebody mends the disk.
        Refused: damage.
    """
    try:
        yield
    except sqlite3.Error as error:
        trouble = passing_trouble(error)
        if trouble:
            raise Unavailable("state", trouble, "the journal cannot be used", "Mend the state's disk") from None
        raise damaged(error) from None
