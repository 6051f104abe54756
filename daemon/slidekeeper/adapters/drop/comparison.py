"""One directory as it is, against what the index knows of it: what is new or changed, and what is gone.

Up to some thousand files the index is asked once; of a larger directory it is asked portion by portion, so that memory stays
bounded, and what is gone is looked for only where a count says that something is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

Ask: TypeAlias = Callable[..., list[Any]]
"""Rows of a query about one drop folder, given the values behind its name."""

Found: TypeAlias = tuple[bytes, os.stat_result]
"""A name, and what lstat(2) says of it."""

AT_ONCE = 4000
"""Files of one directory that the index tells at once."""

FILES = "SELECT name, size, mtime_ns, ctime_ns FROM files WHERE drop_name = ? AND directory = ?"
COUNT = "SELECT count(*) FROM files WHERE drop_name = ? AND directory = ?"


class Comparison:
    """Takes what is found in one directory, portion by portion."""

    def __init__(self, ask: Ask, directory: bytes) -> None:
        self._ask = ask
        self._directory = directory
        rows = ask(f"{FILES} LIMIT {AT_ONCE + 1}", directory)
        self._is_large = len(rows) > AT_ONCE
        self._not_met: dict[bytes, tuple[int, ...]] = {} if self._is_large else {row[0]: row[1:] for row in rows}
        self._met = 0

    def unknown(self, found: Sequence[Found]) -> list[Found]:
        """Those that the index lacks or has with another identity."""
        known = self._asked([name for name, _ in found]) if self._is_large else self._not_met
        return [each for each in found if known.pop(each[0], None) != _identity(each[1])]

    def pass_over(self, name: bytes) -> None:
        """Take note of a name that is there, but is not looked at."""
        if self._is_large:
            self._asked([name])
        else:
            self._not_met.pop(name, None)

    def gone(self, is_there: Callable[[bytes], bool]) -> Iterator[bytes]:
        """Names that the index knows and that were not found; ``is_there`` is asked where it is not known which they are."""
        if not self._is_large:
            yield from self._not_met
        elif self._ask(COUNT, self._directory)[0][0] > self._met:
            yield from (name for name in self._all_names() if not is_there(name))

    def _asked(self, names: Sequence[bytes]) -> dict[bytes, tuple[int, ...]]:
        marks = ", ".join("?" * len(names))
        rows = self._ask(f"{FILES} AND name IN ({marks})", self._directory, *names)
        self._met += len(rows)
        return {row[0]: row[1:] for row in rows}

    def _all_names(self) -> Iterator[bytes]:
        last = b""
        while names := self._ask(f"{FILES} AND name > ? ORDER BY name LIMIT {AT_ONCE}", self._directory, last):
            yield from (row[0] for row in names)
            last = names[-1][0]


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
