"""Names and places of which nothing is known, told by the words around them: ``Dr. X``, ``signed by X``, ``Mercy General Hospital``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slidekeeper.steps.records.freetext.document import Document, Word
from slidekeeper.steps.records.freetext.known import PARTICLES
from slidekeeper.steps.records.freetext.known_in_text import CREDENTIALS
from slidekeeper.steps.records.freetext.labels import ABBREVIATIONS
from slidekeeper.steps.records.freetext.spans import Mask, Span

TITLES = frozenset("dr drs mr mrs ms miss mx prof professor herr frau mme sra rev".split())
"""After these a capitalised word is a name, whatever else it may mean: Mr. White."""
ROLES = frozenset(
    "patient pt physician pathologist surgeon oncologist doctor nurse attending resident fellow clinician referrer provider wife "
    "husband son daughter brother sister mother father mom dad spouse partner guardian caregiver uncle aunt niece nephew cousin "
    "contact name named attn cc signed pathologists radiologist dermatologist cardiologist neurologist".split()
)
"""Before or after these a capitalised word that means nothing else is a name."""
ACTS = frozenset(
    "signed referred reviewed dictated performed submitted verified seen requested ordered transcribed reported interpreted "
    "diagnosed examined grossed discussed spoke given communicated faxed w called treated evaluated managed collected out".split()
)
LINKS = frozenset({"by", "with", "to", "w", "per"})
AFTER_CUE = re.compile(r"[\s.:,#/-]{1,3}")
WITHIN_NAME = re.compile(r" {1,2}|\. ?|, |-|’|'")
MOST_NAME_WORDS = 4
SHORTEST_NAME = 2
SHORTEST_UPPER = 4
"""Letters of a name in capitals; shorter ones are abbreviations."""

FACILITIES = frozenset(
    "hospital hospitals hosp clinic clinics infirmary klinikum krankenhaus hospice sanatorium hopital healthcare university "
    "universitätsklinikum".split()
)
"""With a capitalised word before it, the name of a place."""
WEAK_FACILITIES = frozenset(
    "center centre ctr institute oncology medical med health general college school foundation associates pavilion memorial".split()
)
SAINTS = frozenset({"st", "saint", "mt", "mount"})
AT = frozenset({"at", "from", "in"})
MOST_PLACE_WORDS = 5
WITHIN_PLACE = re.compile(r" |\. |-|, (?=St)")


def cued_spans(document: Document) -> Iterator[Span]:
    """Names after titles, roles and acts; given names with a surname or an initial; places."""
    for index, word in enumerate(document.words):
        if word.folded in TITLES:
            yield from _name_from(document, index + 1, sure=True)
        elif word.folded in ROLES or (word.folded in LINKS and _follows_act(document, index)):
            yield from _name_from(document, index + 1, sure=False)
        elif word.folded in AT:
            yield from _place_from(document, index + 1)
        if word.capital:
            yield from _telling_itself(document, index)


def _telling_itself(document: Document, index: int) -> Iterator[Span]:
    word = document.words[index]
    if word.titled and not word.upper and _is_person(document, index):
        yield from _name_from(document, index, sure=True)
    elif word.folded in SAINTS:
        yield from _saint(document, index)
    elif word.upper and word.folded in ABBREVIATIONS:
        yield from _town(document, index)
    elif word.folded in FACILITIES or word.folded in WEAK_FACILITIES:
        yield from _facility(document, index)


def _follows_act(document: Document, index: int) -> bool:
    return index > 0 and document.words[index - 1].folded in ACTS and len(document.gap(index - 1)) <= 1


def _name_from(document: Document, first: int, *, sure: bool) -> Iterator[Span]:
    """The name that begins at a word, if one does."""
    words = document.words
    if first >= len(words) or (first and not AFTER_CUE.fullmatch(document.gap(first - 1)) and not sure):
        return
    last, expected, titled = first - 1, False, sure
    for index in range(first, min(first + MOST_NAME_WORDS, len(words))):
        if index > first and not _tied(document, index):
            break
        if not _could_be_name(words[index], sure=sure or expected):
            break
        last = index
        sure, expected = sure and words[index].initial, words[index].initial or words[index].given
    while last >= first and (words[last].folded in PARTICLES and words[last].folded not in CREDENTIALS):
        last -= 1
    if last >= first and (titled or any(not word.initial for word in words[first : last + 1])):
        yield Span(document.starts[first], document.end(last), Mask.NAME)


def _tied(document: Document, index: int) -> bool:
    """Whether a word goes on with the name before it; a full stop is one after an initial only."""
    gap = document.gap(index - 1)
    if not WITHIN_NAME.fullmatch(gap):
        return False
    return "." not in gap or document.words[index - 1].initial or document.words[index].folded in CREDENTIALS


def _could_be_name(word: Word, *, sure: bool) -> bool:
    if word.initial or word.folded in CREDENTIALS:
        return word.capital
    if word.folded in PARTICLES and not word.upper:
        return True
    if not word.titled or word.function or word.folded in TITLES or len(word.folded) < SHORTEST_NAME:
        return False
    return sure or (not word.ordinary and (not word.upper or len(word.folded) >= SHORTEST_UPPER))


def _is_person(document: Document, index: int) -> bool:
    """A given name before a word that means nothing else, or a name before an initial with a point or the end of its phrase."""
    if index + 1 >= len(document.words) or document.gap(index) not in {" ", "  "}:
        return False
    word, following = document.words[index], document.words[index + 1]
    if following.initial:
        after = document.text[document.ends[index + 1] : document.ends[index + 1] + 1]
        return not word.ordinary and (after in {".", ","} or word.given)
    return word.given and not word.ordinary and following.titled and not following.function and not following.upper


def _saint(document: Document, index: int) -> Iterator[Span]:
    """``St. Vincent's``, ``Mt. Sinai``."""
    if index + 1 < len(document.words) and document.gap(index) in {" ", ". "} and document.words[index + 1].titled:
        last = _place_end(document, index + 1)
        yield Span(document.starts[index], document.ends[last], Mask.PLACE)


def _facility(document: Document, index: int) -> Iterator[Span]:
    """The words with capitals before a hospital's kind, if one of them is its own name."""
    words, first = document.words, index
    while (
        first > 0
        and index - first < MOST_PLACE_WORDS
        and WITHIN_PLACE.fullmatch(document.gap(first - 1))
        and _could_be_place(words[first - 1])
    ):
        first -= 1
    names = words[first:index]
    sure = words[index].folded in FACILITIES
    if names and (sure or any(not name.ordinary for name in names)):
        yield Span(document.starts[first], document.ends[_place_end(document, index)], Mask.PLACE)


def _town(document: Document, index: int) -> Iterator[Span]:
    """``Chicago, IL``"""
    first = index
    while first > 0 and document.gap(first - 1) == (", " if first == index else " ") and _could_be_place(document.words[first - 1]):
        first -= 1
    if any(not word.ordinary and not word.upper for word in document.words[first:index]) and document.text[document.ends[index] :][
        :1
    ] not in {"-", "+", ":"}:
        yield Span(document.starts[first], document.ends[index], Mask.PLACE)


def _place_from(document: Document, first: int) -> Iterator[Span]:
    """``at Stanford``, ``from Royal Marsden``: words with capitals, unless all of them are abbreviations or one ordinary word."""
    words = document.words
    first += first < len(words) and words[first].folded == "the"
    if first >= len(words) or document.gap(first - 1) != " " or not _could_be_place(words[first]):
        return
    last = _place_end(document, first)
    if any(not word.ordinary for word in words[first : last + 1]) or (
        last > first and not any(word.upper for word in words[first : last + 1])
    ):
        yield Span(document.starts[first], document.ends[last], Mask.PLACE)


def _place_end(document: Document, first: int) -> int:
    last = first
    while last + 1 < len(document.words) and last - first < MOST_PLACE_WORDS:
        if document.gap(last) not in {" ", "-"} or not _could_be_place(document.words[last + 1]):
            break
        last += 1
    return last


def _could_be_place(word: Word) -> bool:
    return word.titled and not word.function
