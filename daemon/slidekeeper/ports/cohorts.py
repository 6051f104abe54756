"""Choosing slides for a staging from the published catalog."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from slidekeeper.model.manifest import StagedImage


class Cohorts(Protocol):
    """Chooses the newest revision of slides, and keeps what is known of them. Synchronous: called in threads."""

    def choose(self, where: str, rows: Path) -> Sequence[StagedImage]:
        """Slides of which a row of the cohort table meets ``where``, by number; all their rows are written to ``rows`` as Parquet.

        Raises:
            Refused: the condition is wrong, or nothing is published.
        """
        ...

    def named(self, numbers: Sequence[str], rows: Path) -> Sequence[StagedImage]:
        """These slides, as far as they are published."""
        ...

    def without(self, rows: Path, numbers: Sequence[str]) -> int:
        """Take the rows of these slides out of a file that :meth:`choose` wrote, durably; returns how many there were."""
        ...

    def labels(self, rows: Path) -> tuple[bytes, bytes]:
        """The rows as the staging's Parquet and CSV."""
        ...
