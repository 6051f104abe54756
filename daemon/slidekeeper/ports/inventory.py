"""What lies where on tiers and training roots, for an audit; nothing is followed, opened or changed but manifests, which are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Thing:
    """One entry of a folder."""

    name: bytes
    is_folder: bool


@dataclass(frozen=True, slots=True)
class Weight:
    """What something holds."""

    files: int
    size: int
    """Bytes."""


class Inventory(Protocol):
    """Looks. Synchronous."""

    def things(self, root: Path, *below: bytes) -> Sequence[Thing]:
        """Entries of a folder by name; none where there is no such folder.

        Raises:
            Unavailable: the root cannot be read.
        """
        ...

    def weigh(self, root: Path, *below: bytes) -> Weight:
        """All files in a folder and below it, or a single file; what cannot be listed counts as one file."""
        ...

    def files(self, root: Path, *below: bytes) -> Iterator[tuple[bytes, int]]:
        """Path (relative to the folder) and size of each file in it and below it; what cannot be listed is told as a file."""
        ...

    def read(self, root: Path, *below: bytes) -> bytes | None:
        """A regular file's content, or None."""
        ...
