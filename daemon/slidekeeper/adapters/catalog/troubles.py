"""DuckDB's errors, sorted: those that pass when somebody mends disk, lock or settings, and those that mean damage.

DuckDB gives no codes. What the system refused ends in the system's own words (``No space left on device``), or quotes its number
where it comes from another thread; damage does neither.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from slidekeeper.errors import Unavailable

SYSTEM_REFUSALS = tuple(os.strerror(code) for code in errno.errorcode)
QUOTED_NUMBER = re.compile(r'"errno": ?"\d+"')
LOCKED = "Could not set lock on file"

REMEDIES = {
    "catalog-in-use": "Close the program that has catalog.duckdb open; readers use the published Parquet files",
    "catalog-memory": "Raise [catalog] memory_megabytes",
    "catalog": "Free space on the state's disk, or mend it",
}


FAULTLESS = (duckdb.ProgrammingError, duckdb.DataError, duckdb.IntegrityError, duckdb.NotSupportedError)
"""Errors of a statement, or of a value given to it: the file is not to blame."""


def passing_trouble(error: duckdb.Error) -> str:
    """Why it makes sense to try again later, or an empty string when it does not."""
    if isinstance(error, duckdb.FatalException):
        return ""  # whatever the cause, DuckDB answers nothing more until the file is opened again
    text = str(error).rstrip()
    if LOCKED in text:
        return "catalog-in-use"
    if isinstance(error, duckdb.OutOfMemoryException):
        return "catalog-memory"
    return "catalog" if text.endswith(SYSTEM_REFUSALS) or QUOTED_NUMBER.search(text) else ""


def is_damage(error: duckdb.Error) -> bool:
    """Whether an error that does not pass is the file's fault."""
    return not isinstance(error, FAULTLESS)


@contextmanager
def sorted_troubles() -> Iterator[None]:
    """Let troubles that pass out of the block as such, and damage as it is; DuckDB's text is left out, for it names files.

    Raises:
        Unavailable: somebody else has the file open, its disk or its memory is full.
        duckdb.Error: the file is damaged.
    """
    try:
        yield
    except duckdb.Error as error:
        reason = passing_trouble(error)
        if not reason:
            raise
        raise Unavailable("state", reason, type(error).__name__, REMEDIES[reason]) from None
    except OSError as error:
        raise Unavailable("state", "catalog", os.strerror(error.errno or 0), REMEDIES["catalog"]) from None
