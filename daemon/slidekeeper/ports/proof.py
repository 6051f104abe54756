"""Proof by another: the finished bytes searched for every secret, and re-read by a library that did not plan them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.slide import ImageFacts
from slidekeeper.model.splice import Content


class Search(Protocol):
    """A multi-pattern search over a stream of bytes; matches span chunk borders."""

    def feed(self, span: memoryview, content: Content) -> None:
        """Search the next span; short patterns are searched in structure only, where chance cannot make them."""
        ...

    def hits(self) -> int:
        """Number of distinct patterns found so far."""
        ...


class SearchFactory(Protocol):
    """Makes a search; picklable."""

    def __call__(self, texts: Sequence[Concealed[bytes]], windows: Sequence[Concealed[bytes]]) -> Search:
        """Search ``texts`` (UTF-8) in every encoding, case-insensitively, and ``windows`` as they are."""
        ...


class Reader(Protocol):
    """An independent reader of finished slides; picklable."""

    def verify(self, path: Path, facts: ImageFacts) -> None:
        """Open ``path`` and compare it with ``facts``: levels, resolution, colour profile, number of images, no label, no macro,
        no tag that is not allowed.

        Raises:
            Permanent: ``proof-failed`` with the first difference.
        """
        ...

    def embedded_texts(self, stream: BinaryIO) -> Sequence[bytes]:
        """Values that a picture carries beside its pixels (Exif, comments, text chunks), as they are; none for what is no picture."""
        ...

    def thumbnail(self, path: Path, longest_side: int) -> bytes:
        """A JPEG of the whole slide without metadata, at most ``longest_side`` pixels wide and high, made from its decoded pixels.

        Raises:
            Permanent: ``proof-failed``: the pixels cannot be decoded.
        """
        ...
