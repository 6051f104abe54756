"""A cohort and its copy on a tier: a named selection of slides, and one exact list of what was copied where."""

from __future__ import annotations

import secrets
from typing import NewType

from slidekeeper.model.value import Value

StagingId = NewType("StagingId", str)
"""12 hexadecimal digits, drawn when a staging is ordered; its name may be used again once it is removed."""

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What a staging or a project may be called: it becomes the name of a folder."""


def new_staging_id() -> StagingId:
    """Draw a new random staging id."""
    return StagingId(secrets.token_hex(6))


class Cohort(Value):
    """Which slides, and how they were chosen; the list itself is the staging's plan."""

    sql: str
    """The condition on the published catalog; empty where the slides were named one by one."""
    slides: int
    size: int
    """Bytes of all images."""
    digest: str
    """``blake3:<hex>`` over the sorted lines ``<number> r<revision> <digest of the image>``: equal cohorts have equal digests."""
    catalog: int
    """The catalog's position, a ``seq`` of the journal, when the slides were chosen."""


class StagingFacts(Value):
    """A complete copy of a cohort on a tier."""

    files: int
    """Images."""
    size: int
    """Their bytes."""
    copied: int
    """Bytes that were copied since the daemon last started; the rest had been verified before."""
    seconds: float
    manifest: str
    """``blake3:<hex>`` of ``manifest.json``."""
