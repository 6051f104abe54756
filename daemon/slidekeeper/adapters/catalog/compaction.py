"""Makes the catalog's file anew: DuckDB keeps the bytes of deleted rows, and a withdrawal means that they go."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from slidekeeper.adapters.catalog.quoting import quoted


def has_residue(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether rows were deleted that the file may still hold."""
    return connection.execute("SELECT 1 FROM residue LIMIT 1").fetchone() is not None


def write_clean_copy(connection: duckdb.DuckDBPyConnection, path: Path) -> Path:
    """Write all that is in the catalog, and nothing that was, durably into a file beside ``path``; returns it."""
    aside = path.with_name(f".{path.name}.part")
    aside.unlink(missing_ok=True)
    (name,) = connection.execute("SELECT current_database()").fetchone() or ("",)
    connection.execute(f"ATTACH '{quoted(aside)}' AS clean")
    try:
        connection.execute(f'COPY FROM DATABASE "{name}" TO clean')
        connection.execute("DELETE FROM clean.residue")
    finally:
        connection.execute("DETACH clean")
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    return aside


def put_in_place(aside: Path, path: Path) -> None:
    """Let the clean copy take the place of a catalog that nobody has open; what was set aside earlier goes too."""
    for rest in (f"{path.name}.wal", f"{path.name}.set-aside", f"{path.name}.wal.set-aside"):
        path.with_name(rest).unlink(missing_ok=True)  # first the log: it belongs to the file that goes
    aside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
