"""Training roots, where runs write ``<root>/<project>/<run>/``: what is seen of them, and how a run's own files are removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from slidekeeper.model.run import MarkerIdentity, RunPlace


@dataclass(frozen=True, slots=True)
class SeenMarker:
    """A done-marker as it was seen."""

    identity: MarkerIdentity
    special: str = ""
    """``symlink``, ``folder``, ``fifo``, ``socket``, ``device``, or empty for a regular file."""


@dataclass(frozen=True, slots=True)
class RootView:
    """The two upper levels of a root."""

    file_system: tuple[int, int]
    """Device and inode of the root: others after something was mounted there, or unmounted."""
    places: Sequence[RunPlace]
    misfits: Mapping[str, int]
    """How many things lie where a project or a run should, and are none, by reason."""


class TrainingRoot(Protocol):
    """Looks at one root, never into its runs. Synchronous: called in threads."""

    @property
    def place(self) -> str:
        """``training:<path>``: what is suspended while the root cannot be used."""
        ...

    def look(self, anew: bool = True) -> RootView:
        """All run folders; unless ``anew``, folders that have not changed since the last look are not listed again.

        Raises:
            Unavailable: the root is not there, or not what it should be.
        """
        ...

    def markers(self, places: Sequence[RunPlace]) -> Sequence[SeenMarker | None]:
        """The done-marker of each place, or None.

        Raises:
            Unavailable: the root's file system fails.
        """
        ...

    def read_marker(self, place: RunPlace, seen: SeenMarker) -> bytes:
        """The content of a done-marker, read while it was the one that was seen.

        Raises:
            SourceChanged: it is another by now.
            Permanent: ``marker-special``, ``marker-too-large``.
            Temporary: ``marker-unreadable``.
            Unavailable: the root's file system fails.
        """
        ...
