"""A tier: where training reads from. A staging is a folder on it, complete when its mark is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from slidekeeper.model.manifest import Manifest, StagedImage


@dataclass(frozen=True, slots=True)
class Holding:
    """What lies where a staging is to be."""

    entries: int
    """Things in the folder; 0 where there is none."""
    owner: str
    """Id of the staging that made the folder; empty where none did."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What was removed, and how many files that are not the staging's were left."""

    files: int
    size: int
    left: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing about a staging that is not as its manifest says."""

    target: str
    problem: str
    """``missing``, ``wrong-size``, ``wrong-digest``, ``unreadable``, ``stranger``, ``no-file``, ``not-ready``, ``no-manifest``."""


class Stopped(Exception):
    """The copy was asked to stop, and did between two windows."""


Tell = Callable[[int], None]
"""Called with the bytes of each window that was copied; holds the copy to its rate, and raises :class:`Stopped` to end it."""


class StagingFolder(Protocol):
    """One staging while it is written. Used from several threads; what is verified is told only once it is durable."""

    def verified(self) -> Mapping[str, int]:
        """Names and sizes of the images that an earlier attempt copied, verified and made durable, and that are still there."""
        ...

    def copy(self, image: StagedImage, tell: Tell, replica: int = 0) -> str:
        """Copy one image aside, from the bucket or the ``replica``-th replica; returns the digest of the bytes that were read.

        Raises:
            FileNotFoundError: the source is not there.
            Unavailable: source or tier cannot be used.
        """
        ...

    def settle(self, images: Sequence[StagedImage]) -> None:
        """Make these images durable, and remember that they are verified."""
        ...

    def complete(self, manifest: Manifest, labels: Mapping[str, bytes]) -> str:
        """Make the images visible, write labels and manifest, and last the mark; returns the manifest's digest."""
        ...

    def close(self) -> None:
        """Let go of the folder."""
        ...


class Tier(Protocol):
    """Synchronous: called in threads. Every method raises ``Unavailable("tier:<name>", …)`` when the tier cannot be used."""

    @property
    def replicas(self) -> int:
        """Number of further buckets that images can be copied from."""
        ...

    def free(self) -> int:
        """Bytes that can be written before the reserve is touched; negative when it is."""
        ...

    def holding(self, name: str) -> Holding:
        """What lies under a staging's name."""
        ...

    def missing(self, images: Sequence[StagedImage]) -> Sequence[StagedImage]:
        """Those that the bucket lacks, or holds in another size."""
        ...

    def open(self, name: str, owner: str) -> StagingFolder:
        """The folder of a staging, made where it is not there.

        Raises:
            Permanent: something else lies there.
        """
        ...

    def manifest(self, name: str) -> Manifest | None:
        """The manifest of a staging, or None."""
        ...

    def stagings(self) -> Sequence[str]:
        """Names of all folders that a staging made, or that have a manifest."""
        ...

    def revise(self, manifest: Manifest, labels: Mapping[str, bytes], gone: Sequence[StagedImage]) -> None:
        """Take images out of a staging, wherever its copy stands; where it is complete, labels and manifest are written anew."""
        ...

    def remove(self, name: str, owner: str, targets: Mapping[str, int]) -> Removal:
        """Remove these files (paths in the staging's folder) and all that is Slidekeeper's own; what else is there is left and counted.

        Follows no symbolic link. Removes nothing of a folder that another staging made.
        """
        ...

    def verify(self, name: str, exact: bool) -> Sequence[Finding]:
        """Compare a staging with its manifest: presence and size; ``exact``: digests too, and that nothing else is there."""
        ...

    def probe(self) -> None:
        """Prove that the tier can be written."""
        ...
