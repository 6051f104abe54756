"""The catalog: a projection of the journal that people query, and that can be thrown away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from slidekeeper.ports.journal import Recorded


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

    async def publish(self, folder: Path) -> None:
        """Write every table as Parquet into ``folder``, each replaced atomically."""
        ...

    async def close(self) -> None:
        """Close the database."""
        ...
