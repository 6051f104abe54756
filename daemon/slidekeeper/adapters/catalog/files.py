"""The catalog's file: opened with its schema, set aside when it is damaged. The journal has everything that was in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import duckdb
import structlog

from slidekeeper.adapters.catalog.schema import migrate
from slidekeeper.adapters.catalog.troubles import sorted_troubles
from slidekeeper.errors import Refused

log = structlog.get_logger(__name__)

CLOSED: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
"""No extension is fetched or loaded behind our back."""


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """Where the file is and how it is opened, now and whenever it is made anew."""

    path: Path
    memory_megabytes: int = 0
    threads: int = 0
    read_only: bool = False

    def open(self) -> duckdb.DuckDBPyConnection:
        """Open the file, its schema brought up to this version.

        Raises:
            duckdb.Error: it is damaged, in use, or its disk cannot be used.
            ValueError: a newer version wrote it.
        """
        if self.read_only:
            return duckdb.connect(str(self.path), read_only=True, config=CLOSED)
        config = {"memory_limit": f"{self.memory_megabytes}MB", "threads": str(self.threads), **CLOSED}
        connection = duckdb.connect(str(self.path), config=config)
        try:
            migrate(connection)
        except (duckdb.Error, ValueError):
            connection.close()
            raise
        return connection

    def begin_anew(self, damage: duckdb.Error | ValueError) -> duckdb.DuckDBPyConnection:
        """A new file in the place of one that nobody has open any more.

        Raises:
            Refused: the file was opened only to be read.
            Unavailable: the disk cannot be used.
        """
        if self.read_only:
            refuse_damage(damage)
        log.error("catalog set aside, it will be rebuilt from the journal", damage=type(damage).__name__)
        with sorted_troubles():
            for file in (self.path, self.path.with_name(f"{self.path.name}.wal")):
                if file.exists():
                    file.replace(file.with_name(f"{file.name}.set-aside"))
            return self.open()


def refuse_damage(damage: Exception) -> NoReturn:
    """Say what to do about a file that cannot be read.

    Raises:
        Refused: always.
    """
    remedy = "Start the daemon: it rebuilds the catalog from the journal"
    raise Refused("catalog-unreadable", type(damage).__name__, remedy) from None


def structure_of(connection: duckdb.DuckDBPyConnection, table: str) -> str:
    """The table's columns in the form that ``from_json`` takes for a list of its rows."""
    described = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table]
    )
    return json.dumps([dict(described.fetchall())])
