"""The linking table's asynchronous face, and the permissions without which it does not open."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from slidekeeper.adapters.linking.keys import Key
from slidekeeper.adapters.linking.sealing import Seal
from slidekeeper.adapters.linking.table import LinkingTable
from slidekeeper.errors import Refused, SlidekeeperError, Unavailable
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.identity import PackId, SlideNumber
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import Claim, NewRevision

T = TypeVar("T")


class SqliteLinking:
    """Implements :class:`slidekeeper.ports.linking.Linking`; all use of the file happens in its one thread."""

    def __init__(self, table: LinkingTable) -> None:
        self._table = table
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="linking")

    @classmethod
    def open(cls, path: Path, key: Key) -> SqliteLinking:
        """Open or make the table at ``path``.

        Raises:
            Refused: folder or file are open to others, the key is not the table's, or the file is damaged.
            Unavailable: the disk is full, read-only or failing.
        """
        _check_private(path.parent, 0o700)
        if path.exists():
            _check_private(path, 0o600)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            return cls(LinkingTable.open(path, Seal(key)))
        except sqlite3.Error as error:
            raise _explained(error) from None
        except OSError as error:
            raise Unavailable("state", "linking-table", os.strerror(error.errno or 0), "Mend the state's disk") from None

    async def slide_number(self, barcode: Barcode, original_name: Concealed[str] | None = None) -> SlideNumber:
        """The number of the barcode's slide."""
        return await self._call(self._table.slide_number, barcode, original_name)

    async def claim(self, number: SlideNumber, content: str, pack: PackId) -> Claim:
        """Bind content to the next revision of ``number``, or say who has it."""
        return await self._call(self._table.claim, number, content, pack)

    async def take_over(self, content: str, owner: PackId, pack: PackId, number: SlideNumber) -> NewRevision:
        """Give ``pack`` the claim of an ``owner`` whose slide never reached the bucket."""
        return await self._call(self._table.take_over, content, owner, pack, number)

    async def close(self) -> None:
        """Close the table."""
        await self._call(self._table.close)
        self._thread.shutdown()

    async def _call(self, action: Callable[..., T], *arguments: Any) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, action, *arguments)
        except sqlite3.Error as error:
            raise _explained(error) from None


def _explained(error: sqlite3.Error) -> SlidekeeperError:
    """Trouble with the disk passes, damage does not. SQLite's own text is left out."""
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if isinstance(error, sqlite3.OperationalError):
        return Unavailable("state", "linking-table", f"SQLite says {name}", "Free space on the state's disk")
    return Refused("linking-damaged", f"SQLite says {name}", "Restore identified/linking.sqlite from the broker's backup")


def _check_private(path: Path, mode: int) -> None:
    """Refuse what others may enter, read or write."""
    try:
        actual = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        raise Refused("identified-missing", f"{path} is not there", f"mkdir -m {mode:o} {path}") from None
    if actual & 0o077:
        raise Refused("identified-exposed", f"{path} is open to others (mode {actual:04o})", f"chmod {mode:o} {path}")
