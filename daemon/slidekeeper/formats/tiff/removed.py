"""Collects what is removed: names for the report, and every text that could be read in it, for the search.

Texts are looked for in whatever type a tag has, in directories that only a removed tag points at (Exif, GPS, interoperability), and
in colour profiles of destroyed images.
"""

from __future__ import annotations

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.allowed import ICC_PROFILE
from slidekeeper.formats.tiff.icc import scrubbed_icc
from slidekeeper.formats.tiff.reading import INTEGER_CODES, SUB_DIRECTORIES, TYPE_SIZES, Entry, Tiff, directories_behind
from slidekeeper.model.texts import SHORTEST_SECRET, readable_in, text_lines

POINTERS = frozenset({SUB_DIRECTORIES, 34665, 34853, 40965})
"""Tags that point at directories of their own: further images, Exif, GPS, interoperability."""

UTF16_TAGS = frozenset(range(40091, 40096))
"""XPTitle, XPComment, XPAuthor, XPKeywords, XPSubject: always UTF-16, little-endian."""

LONGEST_VALUE = 16 << 20
MOST_TEXTS, MOST_TEXT_BYTES = 2000, 100_000
"""So many are searched at a cost of about two seconds; a slide from which more was removed is held for a person."""

SHORTEST_IN_NUMBERS = 7
"""Bytes; shorter texts, and those of fewer than four different letters, are in numbers by chance."""

LAST_LETTER = 0x24F
"""Of the Latin alphabets: a list of numbers up to this one may spell a text."""


class Removed:
    """What was removed from one file.

    Every method that notes something raises ``Permanent("too-much-text", …)`` where it is more than can be searched for.
    """

    def __init__(self, tiff: Tiff) -> None:
        self._tiff = tiff
        self._seen: set[int] = set()
        self.names: set[str] = set()
        self.texts: dict[bytes, None] = {}
        """In lines, UTF-8."""

    def image(self, name: str) -> None:
        """Note an image."""
        self.names.add(f"image:{name}")

    def tag(self, entry: Entry) -> None:
        """Note a tag and what could be read in it, and behind it."""
        self.names.add(f"tag:{entry.tag}")
        self.read(entry)
        if entry.tag in POINTERS and entry.type in INTEGER_CODES:
            self._behind(entry)

    def read(self, entry: Entry) -> None:
        """Note what could be read in a value that is not named, because other images keep such a one; none where it lies outside."""
        if entry.offset + entry.length > self._tiff.source.size:
            return
        if entry.length > LONGEST_VALUE:
            raise Permanent("too-much-text", f"the value of tag {entry.tag} is longer than can be read")
        self._note(self._readable(entry))

    def add(self, *texts: bytes) -> None:
        """Note texts, line by line."""
        self._note([line for text in dict.fromkeys(texts) for line in text_lines(text)])

    def _note(self, lines: list[bytes]) -> None:
        self.texts.update(dict.fromkeys(lines))
        if len(self.texts) > MOST_TEXTS or sum(map(len, self.texts)) > MOST_TEXT_BYTES:
            raise Permanent("too-much-text", f"more than {MOST_TEXT_BYTES} characters would have to be searched for")

    def _behind(self, pointer: Entry) -> None:
        for directory in directories_behind(self._tiff, pointer):
            if directory.offset not in self._seen:
                self._seen.add(directory.offset)
                for entry in (*directory.entries, *directory.unknown):
                    self.tag(entry)

    def _readable(self, entry: Entry) -> list[bytes]:
        value = self._tiff.value(entry)
        if entry.tag == ICC_PROFILE:
            return [line for text in _profile_texts(value) for line in text_lines(text)] + readable_in(value)
        if TYPE_SIZES.get(entry.type, 1) == 1:
            return readable_in(value, entry.tag in UTF16_TAGS)
        packed = [text for text in readable_in(value) if len(text) >= SHORTEST_IN_NUMBERS and len(set(text)) >= SHORTEST_SECRET]
        return packed + readable_in(self._spelled(entry).encode())

    def _spelled(self, entry: Entry) -> str:
        """The text that numbers spell, one for each letter, or an empty string."""
        numbers = self._tiff.integers(entry) if entry.type in INTEGER_CODES else ()
        if len(set(numbers)) < SHORTEST_SECRET or max(numbers) > LAST_LETTER:
            return ""
        return "".join(map(chr, numbers))


def _profile_texts(profile: bytes) -> tuple[bytes, ...]:
    try:
        return scrubbed_icc(profile)[1]
    except Permanent:
        return ()
