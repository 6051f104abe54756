"""Spellings that mean the same: case, accents, apostrophes, and one slip of the keyboard."""

from __future__ import annotations

import unicodedata

LETTERS = str.maketrans(
    {
        "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "ŋ": "n", "ŧ": "t", "ſ": "s",
        "þ": "th", "æ": "ae", "œ": "oe", "ß": "ss",
        "'": None, "’": None, "ʼ": None,
    }
)  # fmt: skip
"""Letters that Unicode does not take apart, and apostrophes, which come and go."""
TRANSCRIPTIONS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
"""How accented letters are written where there are none: ``Mueller``."""
INVISIBLE = dict.fromkeys([0xAD, 0x34F, 0x61C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF])
"""Characters without a shape (soft hyphen, zero-width space, marks of direction) that would split a name unseen."""
LONGEST = 32
"""Longer words have no neighbourhood; nobody's name is that long."""


def prepared(text: str) -> str:
    """The text as it is scrubbed and comes out: composed (NFC), without invisible characters."""
    return text if text.isascii() else unicodedata.normalize("NFC", text.translate(INVISIBLE))


def ascii_digits(text: str) -> str:
    """Digits of every script as 0 to 9, letters in lower case."""
    return text.lower() if text.isascii() else "".join(str(int(sign)) if sign.isdecimal() else sign for sign in text.lower())


def folded(word: str) -> str:
    """Case, accents and apostrophes removed; what two spellings of one name have in common."""
    if word.isascii():
        return word.lower().replace("'", "")
    plain = unicodedata.normalize("NFKD", word.casefold().translate(LETTERS))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return ascii_digits(letters.casefold().translate(LETTERS))


def spellings(word: str) -> frozenset[str]:
    """The folded word, and how it is written on a keyboard without its accents."""
    return frozenset((folded(word), folded(word.casefold().translate(TRANSCRIPTIONS))))


def neighbourhood(word: str) -> frozenset[str]:
    """The word and every result of leaving out one letter; words at distance 1 share at least one of these."""
    if len(word) > LONGEST:
        return frozenset()
    return frozenset((word, *(word[:at] + word[at + 1 :] for at in range(len(word)))))


def is_slip(left: str, right: str) -> bool:
    """Whether the words are equal, or one letter is missing, added, changed, or swapped with the next (optimal string alignment 1)."""
    if left == right:
        return True
    if abs(len(left) - len(right)) > 1:
        return False
    start = next((at for at, (one, other) in enumerate(zip(left, right, strict=False)) if one != other), min(len(left), len(right)))
    one, other = left[start:], right[start:]
    if len(one) == len(other):
        return one[1:] == other[1:] or (one[:2] == other[1::-1] and one[2:] == other[2:])
    return one[1:] == other or one == other[1:]
