"""The open file of the linking table: transactions, numbers that are drawn once, links that are made once. Synchronous, one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from slidekeeper.adapters.linking.schema import open_for_reading, open_for_writing
from slidekeeper.adapters.linking.sealing import Seal, as_bytes
from slidekeeper.errors import Refused, Temporary
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import new_slide_numbers
from slidekeeper.model.naming import alias_form, normal_form

ROWS_AT_ONCE = 100

Opening = Callable[[sqlite3.Connection, Concealed[bytes]], Seal]


class Store:
    """One connection and the seal of its table."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self.connection = connection
        self.seal = seal

    @classmethod
    def open(cls, path: Path, key: Concealed[bytes]) -> Store:
        """Open or make the table.

        Raises:
            Refused: the key does not belong to it, a newer version wrote it, or it is a database of another program.
            sqlite3.Error: it is damaged, or its disk cannot be used.
        """
        return cls._opened(sqlite3.connect(path, isolation_level=None, check_same_thread=False), key, open_for_writing)

    @classmethod
    def open_read_only(cls, path: Path, key: Concealed[bytes]) -> Store:
        """Open a table that is there, beside the daemon or without it; raises what :meth:`open` raises."""
        address = f"file:{quote(str(path))}?mode=ro"
        return cls._opened(sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False), key, open_for_reading)

    @classmethod
    def _opened(cls, connection: sqlite3.Connection, key: Concealed[bytes], opening: Opening) -> Store:
        try:
            return cls(connection, opening(connection, key))
        except (sqlite3.Error, Refused):
            connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block wrote, or none of it when it raises."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        finally:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def matching(self, question: str, values: Iterable[Any], *parameters: Any) -> sqlite3.Cursor:
        """Rows of a statement that joins ``asked``, whose column ``value`` holds numbers or keyed hashes.

        The rows must be taken before the next question is asked.
        """
        is_alone = not self.connection.in_transaction
        if is_alone:  # else each statement would be a transaction of its own
            self.connection.execute("BEGIN")
        self.connection.execute("DELETE FROM asked")
        self._insert("INSERT INTO asked", ((value,) for value in values))
        if is_alone:
            self.connection.execute("COMMIT")
        return self.connection.execute(question, parameters)

    def lookup(self, domain: Domain, value: str) -> bytes:
        """The keyed hash of a value: of a slide's barcode as it stands, of others in their normal form."""
        return self.seal.keyed_hash(domain.value, as_bytes(value if domain is Domain.SLIDE else normal_form(value)))

    def known(self, domain: Domain, lookups: Iterable[bytes]) -> dict[bytes, str]:
        """Numbers by lookup, of those that have one."""
        question = "SELECT lookup, number FROM asked CROSS JOIN links ON domain = ? AND lookup = value"
        return dict(self.matching(question, lookups, domain.value))

    def link(self, domain: Domain, fresh: Mapping[bytes, str]) -> dict[bytes, str]:
        """Draw a number for each lookup of a value that has none yet; in a transaction."""
        numbers = dict(zip(fresh, self._draw(len(fresh)), strict=True))
        ordered = sorted(fresh)  # an index that is filled in its own order is filled several times as fast as in any other
        sealed = self.seal.seal_all(domain.value, (as_bytes(fresh[lookup]) for lookup in ordered))
        self.connection.execute("DELETE FROM fresh")
        self._insert("INSERT INTO fresh", zip(ordered, map(numbers.__getitem__, ordered), sealed, strict=True))
        # One statement for all: their domain is checked in a fraction of the time that as many statements take.
        link = "INSERT INTO links SELECT ?, lookup, number, sealed, ? FROM fresh ORDER BY rowid"
        self.connection.execute(link, (domain.value, self.seal.ring.version))
        if domain is Domain.SLIDE:
            self.keep_aliases((value, numbers[key]) for key, value in fresh.items())
        return numbers

    def keep_aliases(self, named: Iterable[tuple[str, str]]) -> None:
        """Remember that a slide is found under the alias form of a barcode or name; pairs of that and the number."""
        rows = [(self.seal.keyed_hash("alias", as_bytes(alias_form(name))), number) for name, number in named]
        self._insert("INSERT OR IGNORE INTO aliases", sorted(rows))

    def scrub(self) -> None:
        """Leave nothing in the file that was removed or overwritten.

        ``secure_delete`` clears what is deleted, but not what the balancing of pages left in their gaps, nor older pages in the log.

        Raises:
            Temporary: another process reads an older state of the table.
        """
        self.connection.execute("VACUUM")
        is_busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if is_busy:
            raise Temporary("linking-busy", "another process reads the linking table, and holds back what was removed from it")

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def _draw(self, count: int) -> list[str]:
        """Numbers that were never drawn before, in the order of drawing, which is random."""
        numbers: list[str] = []
        while len(numbers) < count:
            drawn = dict.fromkeys(new_slide_numbers(count - len(numbers)))
            before = {number for (number,) in self.matching("SELECT number FROM asked CROSS JOIN numbers ON number = value", sorted(drawn))}
            self.connection.execute("INSERT OR IGNORE INTO numbers SELECT value FROM asked ORDER BY rowid")
            numbers += [number for number in drawn if number not in before]
        return numbers

    def _insert(self, into: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows, many with each statement: one by one takes twice the time."""
        left = iter(rows)
        while group := list(islice(left, ROWS_AT_ONCE)):
            row = f"({', '.join('?' * len(group[0]))})"
            self.connection.execute(f"{into} VALUES {', '.join([row] * len(group))}", tuple(chain.from_iterable(group)))
