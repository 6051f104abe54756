"""A slide format: recognizes its files, says whether one is whole, and plans its anonymization from the headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from slidekeeper.model.splice import Anonymization


@dataclass(frozen=True, slots=True)
class Source:
    """An open slide image: a seekable binary stream and its size in bytes. The name never comes along."""

    stream: BinaryIO
    size: int
    parsed: dict[str, object] = field(default_factory=dict, repr=False, compare=False)
    """What format modules have read of it already, by name: recognizing, checking and planning parse the headers once."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``.

        Raises:
            EOFError: the file ends before.
        """
        self.stream.seek(offset)
        data = self.stream.read(length)
        if len(data) != length:
            raise EOFError("the file ends before the bytes it refers to")
        return data


@dataclass(frozen=True, slots=True)
class Choices:
    """What a site may choose where a slide can be clean in more than one way."""

    keep_thumbnail: bool = True
    """Whether the scanner's thumbnail may stay, where it can be told from a label; it may show what a person wrote on the glass."""


USUAL = Choices()


class Format(Protocol):
    """One format, one module. Implementations are stateless and picklable."""

    @property
    def name(self) -> str:
        """Stable name for catalog and reports: ``aperio``."""
        ...

    def recognizes(self, source: Source) -> bool:
        """Whether the bytes (never the file name) say that this is the format. False for anything malformed."""
        ...

    def missing(self, source: Source) -> str:
        """Why the file is not whole yet (``offsets past the end of the file``), or an empty string when all it refers to is inside."""
        ...

    def plan(self, source: Source, choices: Choices = USUAL) -> Anonymization:
        """Plan the anonymization; reads headers, and a sample of the tiles.

        Raises:
            Permanent: with the precise reason why the slide cannot be proven clean.
        """
        ...


class Registry(Protocol):
    """The formats a site supports, in the order in which they are asked."""

    def recognize(self, source: Source) -> Format:
        """The format of ``source``.

        Raises:
            Permanent: ``unsupported-format``, ``empty-file``.
        """
        ...

    def formats(self) -> Sequence[Format]:
        """All formats."""
        ...
