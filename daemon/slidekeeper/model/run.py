"""A training run: one execution, the folder it writes, and what it says of itself when it is done."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Literal, NewType, TypeAlias

from pydantic import Field

from slidekeeper.model.value import Value

RunId = NewType("RunId", str)
"""12 hexadecimal digits, drawn when a run's folder is first seen."""

RunStatus: TypeAlias = Literal["succeeded", "failed"]


def new_run_id() -> RunId:
    """Draw a new random run id."""
    return RunId(secrets.token_hex(6))


class RunPlace(Value):
    """Where a run writes: ``<root>/<project>/<name>``, or any folder that somebody protects by hand."""

    project: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    """The time series that its versions belong to."""
    name: str = Field(min_length=1, max_length=255)
    folder: str
    """Absolute path, UTF-8."""
    root: str = ""
    """The training root that holds it; empty for a folder protected by hand, which is never cleaned."""


class DoneMarker(Value):
    """What a run writes when it is done; an empty file says that it succeeded."""

    status: RunStatus = "succeeded"
    message: str = Field("", max_length=10_000)
    code: tuple[str, ...] = Field((), max_length=100)
    """Folders of the source code, absolute or relative to the run's folder."""
    staging: str = ""
    """Name of the staging that it trained on."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """Whatever the run wants kept with its version; JSON."""


class MarkerIdentity(Value):
    """By what a done-marker is known again: one that was written anew differs in at least one of these."""

    inode: int
    mtime_ns: int
    size: int


class CleaningFacts(Value):
    """What a cleanup removed from the tier, and what it left; of one that was interrupted and went on, its last part."""

    files: int
    size: int
    """Bytes."""
    left: int
    """Files that belong to neither run nor staging: listed, and left where they are or moved to the leftovers."""
    scripts: int
    """Site scripts that ran."""
    seconds: float
