"""The linking table's asynchronous face, and the permissions without which it does not open."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from slidekeeper.adapters.linking import claims, references, withdrawal
from slidekeeper.adapters.linking.rotation import rotate
from slidekeeper.adapters.linking.store import Store
from slidekeeper.errors import Refused, SlidekeeperError, Unavailable
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import PackId, SlideNumber
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.linking import Claim, NewRevision, Revealed

T = TypeVar("T")


class SqliteLinking:
    """Implements :class:`slidekeeper.ports.linking.Linking`; all use of the file happens in its one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="linking")

    @classmethod
    def open(cls, path: Path, key: Concealed[bytes]) -> SqliteLinking:
        """Open or make the table at ``path``.

        Raises:
            Refused: folder or file are open to others, the key is not the table's, or the file is damaged.
            Unavailable: the disk is full, read-only or failing.
        """
        _check_private(path.parent, 0o700)
        if path.exists():
            _check_private(path, 0o600)
        with _explained_errors():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            return cls(Store.open(path, key))

    @classmethod
    def open_read_only(cls, path: Path, key: Concealed[bytes]) -> SqliteLinking:
        """Open a table that is there, for :meth:`find` and :meth:`reveal`, beside a running daemon or without one.

        Raises:
            Refused: as for :meth:`open`, or there is no table.
            Unavailable: the disk is failing.
        """
        _check_private(path.parent, 0o700)
        _check_private(path, 0o600)
        with _explained_errors():
            return cls(Store.open_read_only(path, key))

    async def slide_number(self, barcode: Barcode, original_name: Concealed[str] | None = None) -> SlideNumber:
        """The number of the barcode's slide."""
        return await self._call(claims.slide_number, barcode, original_name)

    async def claim(self, number: SlideNumber, content: str, pack: PackId) -> Claim:
        """Bind content to the next revision of ``number``, or say who has it."""
        return await self._call(claims.claim, number, content, pack)

    async def take_over(self, content: str, owner: PackId, pack: PackId, number: SlideNumber) -> NewRevision:
        """Give ``pack`` the claim of an ``owner`` whose slide never reached the bucket."""
        return await self._call(claims.take_over, content, owner, pack, number)

    async def refer(self, domain: Domain, values: Sequence[Concealed[str]]) -> Sequence[str | None]:
        """Numbers of values."""
        return await self._call(references.refer, domain, values)

    async def refer_slides(self, names: Sequence[Concealed[str]]) -> Sequence[SlideNumber | None]:
        """Numbers of slides by original file name."""
        return await self._call(references.refer_slides, names)

    async def aliases(self, numbers: Sequence[SlideNumber]) -> Mapping[SlideNumber, Sequence[SlideNumber]]:
        """Other slides that are the same after normalization."""
        return await self._call(references.aliases, numbers)

    async def offsets(self, patients: Sequence[str]) -> Sequence[int]:
        """Secret shifts in days by patient number."""
        return await self._call(references.offsets, patients)

    async def find(self, domain: Domain, values: Sequence[Concealed[str]]) -> Sequence[str | None]:
        """Numbers of values that have one."""
        return await self._call(references.find, domain, values)

    async def reveal(self, numbers: Sequence[str]) -> Mapping[str, Revealed]:
        """What numbers stand for."""
        return await self._call(references.reveal, numbers)

    async def erase(self, numbers: Sequence[str]) -> int:
        """Forget whom numbers stand for."""
        return await self._call(withdrawal.erase, numbers)

    async def withdrawn(self, domain: Domain, values: Sequence[Concealed[str]]) -> Sequence[bool]:
        """Whether values were forgotten before."""
        return await self._call(withdrawal.withdrawn, domain, [value.reveal() for value in values])

    async def rotate(self, new_key: Concealed[bytes]) -> int:
        """Seal everything under a new key."""
        return await self._call(rotate, new_key)

    async def scrub(self) -> None:
        """Clear the file of what a removal or rotation left, where it was interrupted before it could."""
        await self._call(Store.scrub)

    @property
    def version(self) -> int:
        """The version of the key that the table is sealed under, counted from 1."""
        return self._store.seal.ring.version

    async def close(self) -> None:
        """Close the table."""
        await self._call(Store.close)
        self._thread.shutdown()

    async def _call(self, action: Callable[..., T], *arguments: Any) -> T:
        with _explained_errors():
            return await asyncio.get_running_loop().run_in_executor(self._thread, action, self._store, *arguments)


@contextmanager
def _explained_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _explained(error) from None
    except OSError as error:
        raise Unavailable("state", "linking-table", os.strerror(error.errno or 0), "Mend the state's disk") from None


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
