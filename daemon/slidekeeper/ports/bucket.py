"""The capacity tier. A slide revision is written aside, proven, and then becomes visible in one atomic step."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeAlias

from slidekeeper.model.splice import Content, SplicePlan

Inspect: TypeAlias = Callable[[memoryview, Content], None]
"""Called with consecutive spans of the finished bytes, in order, each with what it is."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one pass over a source found out. Digests are ``blake3:<64 hexadecimal digits>``."""

    size: int
    digest: str
    """Of the written object."""
    source_digest: str
    """Of the whole source: the identity of its content."""


class Bucket(Protocol):
    """Keys are relative POSIX paths. ``aside`` names a folder that readers never see. Synchronous: called in threads and workers.

    Every method raises ``Unavailable("bucket", …)`` when the bucket is full, read-only, unmounted or stale, and implementations are
    picklable, so that a worker process (or another machine) can write.
    """

    def splice(self, aside: str, name: str, source: BinaryIO, plan: SplicePlan, inspect: Inspect) -> Written:
        """Execute ``plan`` into ``aside/name`` in one pass that copies, digests and shows every finished byte to ``inspect``.

        Replaces an earlier attempt of the same name. The bytes are durable on return, the name with the next :meth:`put`.

        Raises:
            SourceChanged: the source ended before the plan did.
            SourceUnreadable: the source's file system failed.
        """
        ...

    def put(self, aside: str, name: str, data: bytes) -> None:
        """Write a small object aside, durable on return."""
        ...

    def aside_path(self, aside: str, name: str) -> Path:
        """A local path under which an independent reader can open what lies aside."""
        ...

    def digest_aside(self, aside: str, name: str) -> str:
        """The digest of what lies aside, as it can be read now, in the form of :attr:`Written.digest`."""
        ...

    def has_aside(self, aside: str) -> bool:
        """Whether something lies aside under this name."""
        ...

    def publish(self, aside: str, key: str) -> None:
        """Make all that lies aside visible as the folder ``key``, atomically and durably; a no-op where that was done before.

        Raises:
            Permanent: ``key`` holds something else.
        """
        ...

    def discard(self, aside: str) -> None:
        """Remove what lies aside, if anything."""
        ...

    def asides(self) -> Set[str]:
        """Names of everything that lies aside."""
        ...

    def read(self, key: str) -> bytes:
        """The bytes of a small published object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """A published object of any size, to be read from its beginning.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def digest(self, key: str) -> str:
        """The digest of a published object's bytes as they are now, ``blake3:<64 hexadecimal digits>``.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def has(self, key: str) -> bool:
        """Whether a published object or folder exists under ``key``."""
        ...

    def names(self, key: str) -> Sequence[str]:
        """Names of all that lies below a published folder; empty where there is none."""
        ...

    def rewrite(self, key: str, data: bytes) -> None:
        """Replace a small published object, atomically and durably. Only a withdrawal of consent does that.

        Raises:
            FileNotFoundError: there is no such object.
        """
        ...

    def remove(self, key: str) -> bool:
        """Remove a published object or folder, durably; whether it was there. Only a withdrawal of consent does that."""
        ...

    def probe(self) -> None:
        """Prove that the bucket can be written: return, or raise ``Unavailable``."""
        ...
