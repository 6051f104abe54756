"""What a replica needs beside the two buckets: a memory of how far it is, and a way to copy versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from slidekeeper.model.value import Value


class ReplicaState(Value):
    """How far a replica follows."""

    seq: int = 0
    """The newest journal event that it holds all of."""
    problems: Mapping[str, str] = {}
    """Keys that could not be copied because the original is damaged or gone, each with its reason."""


class ReplicaStates(Protocol):
    """Remembers :class:`ReplicaState`; what is forgotten costs another comparison, nothing else. Synchronous."""

    def load(self) -> ReplicaState:
        """The state that was saved last, or a new one."""
        ...

    def save(self, state: ReplicaState) -> None:
        """Replace it."""
        ...


class VersionCopier(Protocol):
    """Copies versions from one store to another. Synchronous."""

    def copy(self, project: str, number: int) -> None:
        """Copy all objects of a version that the other store lacks, each verified, the version itself last.

        Raises:
            Permanent: an object of the version is damaged.
            Unavailable: one of the stores cannot be used.
        """
        ...
