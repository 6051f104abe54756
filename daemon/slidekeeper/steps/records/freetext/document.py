"""A text as a row of words with what matters about each; words recur, so each is looked at once a batch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from slidekeeper.steps.records.freetext.spelling import folded, neighbourhood
from slidekeeper.steps.records.freetext.vocabulary import Vocabulary

WORD = re.compile(r"[^\W_]+(?:['’ʼ\u0300-\u036f]+[^\W_]+)*[\u0300-\u036f]*")
POSSESSIVE = re.compile(r"['’ʼ][sS]$")
SHORTEST_SLIP = 4
"""Shorter words are too close to too many others; their slips count only beside a name that was found."""
REMEMBERED = 200_000
"""Words remembered before everything is forgotten: bounds memory."""


@dataclass(frozen=True, slots=True, repr=False)
class Word:
    """What is known of a word wherever it stands. Hides itself, as it may be a name."""

    folded: str
    capital: bool
    """Begins with a capital letter, or has no case at all."""
    upper: bool
    """All letters are capital ones."""
    initial: bool
    """A single capital letter."""
    titled: bool
    """Written as names are: ``Pinto``, ``PINTO``, not ``pinto`` or ``pT1b``."""
    digits: bool
    """Holds a digit."""
    function: bool
    ordinary: bool
    given: bool
    """A common given name."""
    neighbourhood: frozenset[str]
    """Empty where a slip of it may not be taken for a name: short, ordinary, no plain word."""


@dataclass(slots=True, repr=False)
class Dictionary:
    """Words by how they are written."""

    vocabulary: Vocabulary
    known: dict[str, Word] = field(default_factory=dict)

    def word(self, raw: str) -> Word:
        """What is known of a word."""
        word = self.known.get(raw)
        if word is None:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            word = self.known[raw] = self._regard(raw)
        return word

    def _regard(self, raw: str) -> Word:
        plain = folded(POSSESSIVE.sub("", raw))
        ordinary = self.vocabulary.is_ordinary(plain, raw.islower())
        slips = plain.isalpha() and len(plain) >= SHORTEST_SLIP and not ordinary
        digits, capital = any(map(str.isdigit, raw)), not raw[0].islower()
        return Word(
            plain,
            capital=capital,
            upper=raw.isupper(),
            initial=len(raw) == 1 and raw.isupper(),
            titled=capital and not digits and len(plain) > 1,
            digits=digits,
            function=plain in self.vocabulary.function,
            ordinary=ordinary,
            given=plain in self.vocabulary.given_names,
            neighbourhood=neighbourhood(plain) if slips else frozenset(),
        )


@dataclass(frozen=True, slots=True, repr=False)
class Document:
    """A prepared text and its words, in order."""

    text: str
    words: list[Word]
    starts: list[int]
    ends: list[int]
    numeric: list[int]
    """Indices of the words that hold a digit."""

    def gap(self, index: int) -> str:
        """What stands between a word and the next one; a break that nothing crosses after the last."""
        return self.text[self.ends[index] : self.starts[index + 1]] if 0 <= index < len(self.words) - 1 else "\n\n"

    def end(self, index: int) -> int:
        """Where a word ends; the point after an initial belongs to it."""
        end = self.ends[index]
        return end + 1 if self.words[index].initial and self.text.startswith(".", end) else end


def read(text: str, dictionary: Dictionary) -> Document:
    """Split a prepared text."""
    matches = list(WORD.finditer(text))
    words = [dictionary.word(match.group()) for match in matches]
    numeric = [index for index, word in enumerate(words) if word.digits]
    return Document(text, words, [match.start() for match in matches], [match.end() for match in matches], numeric)
