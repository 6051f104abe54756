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
from slidekeeper.adapters.linking.sealing import HASH_BYTES, Seal, as_bytes
from slidekeeper.errors import Refused, Temporary
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import SLIDE_NUMBER_DIGITS, new_slide_numbers
from slidekeeper.model.naming import alias_form, normal_form

ROWS_AT_ONCE = 100

ASKED = """
    WITH RECURSIVE
        place(start) AS (SELECT 1 WHERE :count > 0 UNION ALL SELECT start + :width FROM place LIMIT :count),
        asked(value) AS (SELECT {value} FROM place)
"""
"""Values of one width as rows, taken from one parameter: a hundred thousand need no table, and no statement for each."""
LOOKUPS = ASKED.format(value="substr(:packed, start, :width)")
NUMBERS = ASKED.format(value="CAST(substr(:packed, start, :width) AS TEXT)")

KEEP_ALIASES = "INSERT OR IGNORE INTO aliases SELECT substr(value, 1, :lookup), CAST(substr(value, :lookup + 1) AS TEXT) FROM asked"
"""Of values that are a keyed hash and a number each."""

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

    def matching(self, question: str, lookups: Iterable[bytes], **parameters: Any) -> sqlite3.Cursor:
        """Rows of a statement that reads ``asked``, whose column ``value`` holds the keyed hashes, in their order.

        An index is asked in its own order several times as quickly as in any other.
        """
        return self._asked(LOOKUPS, question, sorted(lookups), HASH_BYTES, parameters)

    def matching_numbers(self, question: str, numbers: Iterable[str], **parameters: Any) -> sqlite3.Cursor:
        """As :meth:`matching`, of numbers; what cannot be one is not asked for."""
        packed = sorted(number.encode() for number in numbers if len(number) == SLIDE_NUMBER_DIGITS and number.isascii())
        return self._asked(NUMBERS, question, packed, SLIDE_NUMBER_DIGITS, parameters)

    def _asked(self, asked: str, question: str, values: Sequence[bytes], width: int, parameters: Mapping[str, Any]) -> sqlite3.Cursor:
        packed = {"packed": b"".join(values), "count": len(values), "width": width}
        return self.connection.execute(asked + question, {**packed, **parameters})

    def lookup(self, domain: Domain, value: str) -> bytes:
        """The keyed hash of a value: of a slide's barcode as it stands, of others in their normal form."""
        (lookup,) = self.lookups(domain, [value])
        return lookup

    def lookups(self, domain: Domain, values: Iterable[str]) -> list[bytes]:
        """The keyed hash of each value."""
        compared = values if domain is Domain.SLIDE else map(normal_form, values)
        return list(self.seal.keyed_hashes(domain.value, map(as_bytes, compared)))

    def known(self, domain: Domain, lookups: Iterable[bytes]) -> dict[bytes, str]:
        """Numbers by lookup, of those that have one."""
        question = "SELECT lookup, number FROM asked CROSS JOIN links ON domain = :domain AND lookup = value"
        return dict(self.matching(question, lookups, domain=domain.value))

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
        pairs = list(named)
        lookups = self.seal.keyed_hashes("alias", (as_bytes(alias_form(name)) for name, _ in pairs))
        rows = sorted(lookup + number.encode() for lookup, (_, number) in zip(lookups, pairs, strict=True))
        self._asked(LOOKUPS, KEEP_ALIASES, rows, HASH_BYTES + SLIDE_NUMBER_DIGITS, {"lookup": HASH_BYTES})

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
            before = {number for (number,) in self.matching_numbers("SELECT number FROM asked CROSS JOIN numbers ON number = value", drawn)}
            self.matching_numbers("INSERT OR IGNORE INTO numbers SELECT value FROM asked", drawn)
            numbers += [number for number in drawn if number not in before]
        return numbers

    def _insert(self, into: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows, many with each statement: one by one takes twice the time."""
        left = iter(rows)
        while group := list(islice(left, ROWS_AT_ONCE)):
            row = f"({', '.join('?' * len(group[0]))})"
            self.connection.execute(f"{into} VALUES {', '.join([row] * len(group))}", tuple(chain.from_iterable(group)))
