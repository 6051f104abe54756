"""The plans of stagings, kept beside the journal from the order to the removal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from slidekeeper.model.manifest import Plan, StagedImage
from slidekeeper.model.staging import StagingId


class Plans(Protocol):
    """One plan and one file of rows for each staging. Synchronous."""

    def rows(self, staging: StagingId) -> Path:
        """Where the cohort's rows lie."""
        ...

    def write(self, plan: Plan) -> None:
        """Keep a plan, durably; replaces what was kept of the same staging."""
        ...

    def read(self, staging: StagingId) -> Plan | None:
        """The plan, or None."""
        ...

    def forget(self, staging: StagingId) -> None:
        """Remove plan and rows, if they are there."""
        ...

    def kept(self) -> Sequence[StagingId]:
        """Ids of all stagings of which anything is kept."""
        ...

    def note_damage(self, image: StagedImage, staging: StagingId, found: str) -> None:
        """Record that the bucket's object has another digest than the catalog says; for a person to look at."""
        ...
