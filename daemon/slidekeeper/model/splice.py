"""A splice plan: the anonymized file as a list of pieces, each kept from the source, given literally, or zero.

A format module makes the plan from headers alone; a bucket adapter executes it in one pass. Output offsets are implicit:
pieces follow each other without gap, so that every output byte has exactly one origin and one reason.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.slide import ImageFacts


class Content(enum.StrEnum):
    """What kept bytes are: coded pixels, or structure that a person could read."""

    CODED = "coded"
    STRUCTURE = "structure"


@dataclass(frozen=True, slots=True)
class Keep:
    """Bytes taken unchanged from the source: ``length`` bytes at ``offset``."""

    offset: int
    length: int
    content: Content
    why: str


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes given by the plan (a rewritten description, a patched directory)."""

    data: bytes
    why: str

    @property
    def length(self) -> int:
        """Number of bytes."""
        return len(self.data)


@dataclass(frozen=True, slots=True)
class Zeros:
    """Bytes of the source that are destroyed, or padding."""

    length: int
    why: str


Piece: TypeAlias = Keep | Literal | Zeros


@dataclass(frozen=True, slots=True)
class SplicePlan:
    """The whole output file; ``size`` is the sum of the pieces."""

    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes of the output file."""
        return sum(piece.length for piece in self.pieces)

    def literals(self) -> bytes:
        """All bytes written anew, one piece behind the other, to see what legitimately remains."""
        return b"\n".join(piece.data for piece in self.pieces if isinstance(piece, Literal))

    def placed(self) -> Iterator[tuple[int, Piece]]:
        """Yield every piece with its offset in the output."""
        offset = 0
        for piece in self.pieces:
            yield offset, piece
            offset += piece.length


class Secret(Concealed[bytes]):
    """Bytes found in the source that must not occur in the output: a removed value as text (UTF-8), or a window of a destroyed image."""

    __slots__ = ()


class Inspection(Protocol):
    """Looks at the finished bytes as they are written, knowing what must lie where."""

    def feed(self, span: memoryview, content: Content) -> None:
        """Look at the next span."""
        ...

    def fault(self) -> str:
        """What is wrong with the bytes seen, or an empty string; no value of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Anonymization:
    """What a format module hands over: how to write the slide, what is known of it, and what must be gone."""

    plan: SplicePlan
    facts: ImageFacts
    texts: tuple[Secret, ...]
    """Removed values, UTF-8; the proof searches them in every encoding."""
    windows: tuple[Secret, ...]
    """24-byte samples of destroyed images' coded bytes; the proof searches them as they are."""
    inspection: Callable[[], Inspection] | None = None
    """Begins to look at every coded tile, where the format can tell what may lie there."""
