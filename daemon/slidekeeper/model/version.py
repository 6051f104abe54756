"""A version: one immutable snapshot in a project's time series, and how people name it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from slidekeeper.errors import Refused
from slidekeeper.model.run import RunStatus
from slidekeeper.model.value import Value

REFERENCE = re.compile(r"(?P<project>[A-Za-z0-9][A-Za-z0-9._-]{0,99})(?:@(?:v(?P<number>[1-9][0-9]{0,8})|(?P<run>[^/\0]{1,255})))?")


class VersionReference(Value):
    """``PROJECT``, ``PROJECT@v3`` or ``PROJECT@run-name``; without number and run it is the newest version."""

    project: str
    number: int | None = None
    run: str = ""

    def __str__(self) -> str:
        suffix = f"@v{self.number}" if self.number else f"@{self.run}" if self.run else ""
        return f"{self.project}{suffix}"


def parse_reference(text: str) -> VersionReference:
    """The version that ``text`` names.

    Raises:
        Refused: it has none of the three forms.
    """
    match = REFERENCE.fullmatch(text)
    if match is None:
        raise Refused("wrong-reference", "a version is named PROJECT, PROJECT@v3 or PROJECT@RUN", "See `slidekeeper versions list`")
    number = match["number"]
    return VersionReference(project=match["project"], number=int(number) if number else None, run=match["run"] or "")


class VersionFacts(Value):
    """What is known of a version without opening its trees."""

    project: str
    version: int
    """1, 2, 3 … within the project."""
    tree: str
    """SHA-256 of the root tree's JSON, hexadecimal."""
    status: RunStatus
    files: int
    size: int
    """Bytes of all files."""
    added: int
    """Bytes that no earlier version held."""
    missing: int
    """Things in the run's folder that could not be read, or are no files: listed in the version, their content is not in it."""
    seconds: float


class RunOfVersion(Value):
    """The run that a version was made of."""

    run: str
    """The run's id in the journal."""
    name: str
    folder: str
    """Where it was."""


class VersionDocument(Value):
    """``versions/<project>/<n>.json``: everything that makes a version, but its trees. Written once."""

    format: Literal["slidekeeper-version-1"] = "slidekeeper-version-1"
    project: str
    version: int
    created: datetime
    """UTC."""
    tree: str
    """SHA-256 of the root tree, which holds ``artifacts/``, ``code/`` and ``provenance.json``."""
    status: RunStatus
    message: str
    run: RunOfVersion
    by: str
    """``marker``, or who ordered the protection."""
    policy: str
    """Name of the protection policy that was applied."""
    files: int
    size: int
    """Bytes of all files."""
    added: int
    """Bytes that no earlier version held."""
    missing: int
    slidekeeper: str
    """The program's version."""
    digest: str = ""
    """SHA-256 of the document's file with these digits left out: a version names everything else, but nothing names a version."""
