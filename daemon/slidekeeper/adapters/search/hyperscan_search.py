"""The search of every secret in the finished bytes, in streaming mode, by hyperscan.

Short patterns occur by chance in coded pixels: a pattern of n bytes is expected 256^-n times per byte. With 62 patterns of
7 bytes in slides of 1 GB, 100,000 slides a month, that is 62 x 1e9 x 1e5 x 256^-7 = 0.09 false alarms a month; with 6 bytes
it would be 22. So patterns of fewer than 7 bytes are searched only where a person could read them: outside coded pixels.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from xml.sax.saxutils import escape

import hyperscan

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.splice import Content

SHORTEST_TEXT = 4
"""Characters; anything shorter identifies nobody and is everywhere."""

SHORTEST_IN_PIXELS = 7
"""Bytes."""

SHORTEST_WITHIN = 9
"""Bytes; of so long a text, the inner part of its Base64 has at least as many characters as are searched in pixels."""

SLICE_BYTES = 1000
"""Longer spellings are searched in slices: hyperscan takes expressions of up to 16,000 characters, and each byte needs four."""

FEWEST_VALUES = 3
"""A slice of fewer distinct bytes is padding, which zeroed ranges and empty tiles are full of, and identifies nobody."""

TEXT_FLAGS = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_SINGLEMATCH
WINDOW_FLAGS = hyperscan.HS_FLAG_SINGLEMATCH


def spellings(text: bytes) -> set[bytes]:
    """``text`` (UTF-8) in every encoding and case in which it may have survived.

    UTF-8, Latin-1, UTF-16 of both byte orders, escaped for XML, and Base64 at its three alignments, of which only the inner
    part is searched because the ends depend on the neighbours. Hyperscan folds the case of ASCII letters; upper and lower case of
    others are spellings of their own.
    """
    characters = text.decode(errors="replace")
    if len(characters) < SHORTEST_TEXT:
        return set()
    found = _encodings(text, characters)
    for cased in (characters.upper(), characters.lower()):
        if cased.encode().lower() != text.lower():  # of bytes, lower() folds ASCII only, as hyperscan does
            found |= _encodings(cased.encode(), cased)
    return {spelling for spelling in found if len(spelling) >= SHORTEST_TEXT}


def _encodings(text: bytes, characters: str) -> set[bytes]:
    found = {text, characters.encode("utf-16-le"), characters.encode("utf-16-be")}
    with suppress(UnicodeEncodeError):
        found.add(characters.encode("latin-1"))
    found.add(escape(characters, {'"': "&quot;", "'": "&apos;"}).encode())
    for shift in range(3):
        coded = b64encode(bytes(shift) + text)
        found.add(coded[4 if shift else 0 : len(coded) // 4 * 4 - 4])
    return found


def without_longer(texts: Iterable[bytes]) -> list[bytes]:
    """The texts that contain no other of them: where a longer one occurs, the one within it does too, in every spelling.

    Short ones are no others: not all of their spellings are searched in coded pixels.
    """
    kept: list[bytes] = []
    within: list[bytes] = []
    for text in sorted(dict.fromkeys(texts), key=len):
        if not any(other in text for other in within):
            kept.append(text)
            if len(text) >= SHORTEST_WITHIN:
                within.append(text)
    return kept


def slices(spelling: bytes) -> Iterator[bytes]:
    """What is searched for a spelling: itself, or slices that cover all of a long one, each of which counts when it is found."""
    if len(spelling) <= SLICE_BYTES:
        yield spelling
        return
    for start in (*range(0, len(spelling) - SLICE_BYTES, SLICE_BYTES), len(spelling) - SLICE_BYTES):
        part = spelling[start : start + SLICE_BYTES]
        if len(set(part)) >= FEWEST_VALUES:
            yield part


@dataclass(frozen=True, slots=True)
class HyperscanFactory:
    """Implements :class:`slidekeeper.ports.proof.SearchFactory`."""

    def __call__(self, texts: Sequence[Concealed[bytes]], windows: Sequence[Concealed[bytes]]) -> HyperscanSearch:
        """Compile the patterns; about 3 ms."""
        shortest = without_longer(text.reveal() for text in texts)
        patterns = {part: TEXT_FLAGS for text in shortest for spelling in spellings(text) for part in slices(spelling)}
        patterns |= {window.reveal(): WINDOW_FLAGS for window in windows}
        return HyperscanSearch(patterns)


class HyperscanSearch:
    """Implements :class:`slidekeeper.ports.proof.Search`."""

    def __init__(self, patterns: dict[bytes, int]) -> None:
        """``patterns`` with their flags; short ones may match again and again, for chance matches in pixels do not count."""
        self._short = frozenset(number for number, pattern in enumerate(patterns) if len(pattern) < SHORTEST_IN_PIXELS)
        self._found: set[int] = set()
        self._content = Content.STRUCTURE
        self._stream: hyperscan.Stream | None = None
        if patterns:
            flags = [_flags(pattern, wanted) for pattern, wanted in patterns.items()]
            # A stream keeps its database not alive, and crashes the process without it; the same holds for its handler.
            self._database = hyperscan.Database(mode=hyperscan.HS_MODE_STREAM)
            # Escaped regular expressions instead of the literal interface: that one ends a pattern at its first zero byte.
            expressions = [_escaped(pattern) for pattern in patterns]
            self._database.compile(expressions=expressions, ids=list(range(len(flags))), elements=len(flags), flags=flags)
            self._handler = self._on_match
            self._stream = self._database.stream(match_event_handler=self._handler)
            self._stream.__enter__()

    def feed(self, span: memoryview, content: Content) -> None:
        """Search the next span."""
        self._content = content
        if self._stream is not None:
            self._stream.scan(span)  # type: ignore[type-var]  # takes any buffer; its stubs know two

    def hits(self) -> int:
        """Number of distinct patterns found so far."""
        return len(self._found)

    def _on_match(self, pattern: int, _begin: int, _end: int, _flags: int, _context: object) -> None:
        """Called while a span is scanned, so its content is where the match ends."""
        if self._content is Content.STRUCTURE or pattern not in self._short:
            self._found.add(pattern)


def _flags(pattern: bytes, wanted: int) -> int:
    return wanted & ~hyperscan.HS_FLAG_SINGLEMATCH if len(pattern) < SHORTEST_IN_PIXELS else wanted


def _escaped(pattern: bytes) -> bytes:
    """A regular expression of exactly these bytes."""
    return b"\\x" + pattern.hex("|").encode().replace(b"|", b"\\x")
