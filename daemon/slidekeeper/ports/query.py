"""Questions in SQL about the published catalog, and about nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """A table, read while it is made."""

    columns: Sequence[str]
    """Names, each once."""
    rows: Iterator[Sequence[Any]]
    """Python values in the order of :attr:`columns`; to be read within the context that gave the answer."""


class PublishedQuery(Protocol):
    """Runs SQL that somebody wrote. A question sees each published file as it was when the question began, as a view of its name."""

    def ask(self, sql: str, limit: int | None = None) -> AbstractContextManager[Answer]:
        """The answer to one statement that only reads, at most its first ``limit`` rows.

        Raises, here and while the rows are read:
            Refused: nothing is published yet (``nothing-published``); the statement is wrong (``sql-wrong``), wants what it may not
                (``sql-refused``), or more time or memory than it may have (``sql-too-long``, ``sql-too-large``).
        """
        ...

    def save(self, sql: str, target: Path, limit: int | None = None) -> None:
        """Write the answer to ``target`` as Parquet; the file appears whole or not at all.

        Raises:
            Refused: as above, or the file cannot be written (``output-failed``).
        """
        ...
