"""The catalog: a projection of the journal that people query, and that can be thrown away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from slidekeeper.model.records import RecordsId
from slidekeeper.ports.journal import Recorded


@dataclass(frozen=True, slots=True)
class Kin:
    """Numbers that belong to the same patients."""

    slides: frozenset[str]
    others: frozenset[str]
    """Of patients and cases."""


class Catalog(Protocol):
    """DuckDB behind one writer thread; queries run beside it.

    Every method may raise ``Temporary("catalog-damaged", …)``: the catalog was begun anew, and stands at position 0.
    """

    async def position(self) -> int:
        """The ``seq`` of the newest journal event that is in the catalog."""
        ...

    async def project(self, events: Sequence[Recorded], position: int) -> None:
        """Apply ``events`` in order and move to ``position``, in one transaction; events at or before the position are skipped."""
        ...

    async def reset(self) -> None:
        """Empty every table and go back to position 0."""
        ...

    async def slides(self, after: str = "", limit: int = 100, batch: str = "") -> Sequence[Mapping[str, Any]]:
        """Newest revisions of slides with a number greater than ``after``, by number."""
        ...

    async def slide(self, number: str) -> Sequence[Mapping[str, Any]]:
        """All revisions of one slide, oldest first; empty when unknown."""
        ...

    async def records(self, after: str = "", limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """Newest revision of each batch's records with an id greater than ``after``, by id: where it stands, counts of rows and matches."""
        ...

    async def record(self, records: str) -> Sequence[Mapping[str, Any]]:
        """All revisions of one batch's records, oldest first; empty when unknown."""
        ...

    async def stored_in(self, numbers: Sequence[str], batches: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Number and batch of every stored slide that is among ``numbers`` or in one of ``batches``."""
        ...

    async def has_alignments(self) -> bool:
        """Whether any records are aligned."""
        ...

    async def waiting_for(self, numbers: Sequence[str]) -> Sequence[RecordsId]:
        """Records whose current alignment has rows without a slide that refer to one of ``numbers``."""
        ...

    async def findings(self, records: str, limit: int) -> Sequence[Mapping[str, Any]]:
        """Rows of the current alignment that are tied to nothing: ``source``, ``row``, ``problem``, ``reference``; by source and row."""
        ...

    async def kin(self, numbers: Sequence[str]) -> Kin:
        """All numbers of the same patients, as far as current records tie them together; stored slides among ``numbers`` included."""
        ...

    async def publish(self, folder: Path) -> None:
        """Write every table as Parquet into ``folder``, each replaced atomically; nothing of a slide that is withdrawn."""
        ...

    async def compact(self) -> None:
        """Let the bytes of what a withdrawal deleted go from the disk; costs nothing when there are none."""
        ...

    async def close(self) -> None:
        """Close the database."""
        ...
