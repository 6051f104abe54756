"""What a cleanup does outside: it removes a run's own files from its folder, and runs the site's scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from slidekeeper.model.run import MarkerIdentity, RunId, RunPlace
from slidekeeper.ports.snapshots import Listed

Why: TypeAlias = Literal["in-version", "excluded", "marker", "changed", "new", "special", "too-deep", "other-file-system"]
"""The first three are a run's own; the others are strangers: changed since the version was made, unknown to it, or no file at all."""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in the run's folder."""

    path: bytes
    """Relative to the folder."""
    size: int
    own: bool
    """It is removed; else it is left, or moved to the leftovers."""
    why: Why


@dataclass(frozen=True, slots=True)
class Contents:
    """What a run's folder should hold."""

    tree: str
    """SHA-256 of the tree of the version's artifacts; empty where it has none."""
    children: Callable[[str], Iterator[Listed]]
    """Entries of a tree by name."""
    marker: MarkerIdentity | None
    """The done-marker that was taken up."""


class RunFolder(Protocol):
    """Removes a run's own files. Synchronous: called in threads; follows no symlink and never leaves the training root."""

    def examine(self, place: RunPlace, contents: Contents) -> Iterator[Found]:
        """Everything in the run's folder, the marker last; nothing where there is no such folder.

        Raises:
            Unavailable: the root cannot be used.
            Permanent: ``permission``; ``marker-newer``: the run has finished again.
        """
        ...

    def clean(self, place: RunPlace, run: RunId, contents: Contents) -> Iterator[Found]:
        """Tells the same, and removes what is the run's own, folders that became empty, and the marker last.

        Where the site wants strangers moved, they go to ``<root>/.slidekeeper/leftovers/<run>/``.

        Raises:
            Unavailable: the root cannot be used.
            Permanent: ``permission``; ``marker-newer``; ``leftovers-unsafe``: the folder for leftovers is not ours alone.
        """
        ...


@dataclass(frozen=True, slots=True)
class ScriptOutcome:
    """How a site script ended."""

    code: int
    """Exit code; negative for the signal that ended it; 127 where it could not be started."""
    timed_out: bool
    seconds: float
    output: str
    """The first 10 kB of what it wrote to standard output and error."""


class Scripts(Protocol):
    """Runs programs of the site."""

    async def run(self, program: Path, facts: bytes, within_seconds: float) -> ScriptOutcome:
        """Run one, with ``facts`` on its standard input; it and all it started is killed when it takes too long."""
        ...
