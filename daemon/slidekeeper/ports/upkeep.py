"""Looks after the version store's objects one by one: verified at any pace, healed from replicas, removed when no version needs them.

Apart from the ports that add and read: what never handles this port can neither replace nor remove what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from slidekeeper.ports.snapshots import Damage

Pace: TypeAlias = Callable[[int], None]
"""Called with the number of bytes just read; returns when more may be read."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as it lies in the store."""

    key: str
    size: int
    """Bytes."""
    placed: datetime
    """When it was last written, UTC."""


class Upkeep(Protocol):
    """Synchronous: called in threads. Every method raises ``Unavailable("bucket", …)`` where the bucket cannot be used."""

    def objects(self, after: str = "") -> Iterator[StoredObject]:
        """Blobs, packs, trees and versions with a key greater than ``after``, by key."""
        ...

    def has(self, key: str) -> bool:
        """Whether an object is there, whatever its bytes are."""
        ...

    def check(self, key: str, pace: Pace) -> Damage | None:
        """Read one object, leaving the page cache as it was, and say what is wrong with it, or None."""
        ...

    def heal(self, key: str) -> bool:
        """Replace an object by the first replica's that is sound; False when none has it sound."""
        ...

    def sweeping(self) -> AbstractContextManager[bool]:
        """While it is held nothing is added; True when it could be had at once, else a protection is under way."""
        ...

    def remove(self, key: str) -> None:
        """Remove an object; a no-op where it is gone. Versions first, then what only they needed."""
        ...
