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
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.model.identity import PackId, SlideNumber
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import Claim, NewRevision

T = TypeVar("T")


class SqliteLinking:
    """Implements :class:`slidekeeper.ports.linking.Linking`."""

    def __init__(self, table: LinkingTable) -> None:
        self._table = table
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="linking")

    @classmethod
    def open(cls, path: Path, key: Key) -> SqliteLinking:
        """Open or make the table at ``path``.

        Raises:
            Refused: folder or file are open to others, or the key is not the table's.
        """
        _check_private(path.parent, 0o700)
        if path.exists():
            _check_private(path, 0o600)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return cls(LinkingTable(path, Seal(key)))

    async def slide_number(self, barcode: Barcode) -> SlideNumber:
        """The number of the barcode's slide."""
        return await self._call(self._table.slide_number, barcode)

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
        except sqlite3.OperationalError as trouble:
            raise Unavailable("state", "linking-table", trouble.sqlite_errorname, "Free space on the state's disk") from None


def _check_private(path: Path, mode: int) -> None:
    """Refuse what others may enter, read or write."""
    try:
        actual = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        raise Refused("identified-missing", f"{path} is not there", f"mkdir -m {mode:o} {path}") from None
    if actual & 0o077:
        raise Refused("identified-exposed", f"{path} is open to others (mode {actual:04o})", f"chmod {mode:o} {path}")
