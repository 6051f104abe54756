"""Where identifiers of a patient or batch stand in a text: by membership of words and of rows of words in sets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from slidekeeper.steps.records.freetext.dates import partial_dates
from slidekeeper.steps.records.freetext.document import Document, Word
from slidekeeper.steps.records.freetext.known import HEAD, STREETS, Known
from slidekeeper.steps.records.freetext.numbers import SHORTEST
from slidekeeper.steps.records.freetext.spans import JOINT, Mask, Span
from slidekeeper.steps.records.freetext.spelling import is_slip

SEPARATOR = re.compile(r"[\s\-‐-―./:_#()+,]{0,3}")
"""What people put between the digits of a number."""
DOTS = re.compile(r"\.?[ .-]?")
MOST_WORDS = 8
"""Words of which a number is put together: ``+ 1 ( 303 ) 357 - 01 34``."""
LONGEST_PREFIX = 4
LONGEST_SUFFIX = 3
"""``A1`` after an accession: the block or slide."""
SHORTEST_WITHIN = 6
SHORTEST_ANYWHERE = 4
SHORTEST_BESIDE = 3
LONGEST_INITIALS = 4
TITLES = frozenset("mr mrs ms miss mx herr frau mme sr sra".split())
"""Go with the name; Dr. stays, as it says that a doctor is meant."""
CREDENTIALS = frozenset("md phd rn jr sr ii iii esq frcpath".split())


def patient_spans(document: Document, known: Known) -> Iterator[Span]:
    """Everything of this patient; nothing that is his or hers is spared for being an ordinary word."""
    yield from _names(document, known)
    yield from _words_and_phrases(document, known)
    yield from _addresses(document, known)
    yield from _numbers(document, known, within=True)
    if known.days:
        yield from (span for span, day in partial_dates(document.text) if day in known.days)
    for name in known.uncased:
        yield from (Span(match.start(), match.end(), Mask.NAME) for match in re.finditer(re.escape(name), document.text))


def batch_spans(document: Document, known: Known) -> Iterator[Span]:
    """Names and numbers of others in the batch; names only where they are written as names and are no ordinary words."""
    hits = {index for index, word in enumerate(document.words) if word.titled and not word.ordinary and word.folded in known.names}
    hits |= set(_pairs(document, known))
    yield from _widened(document, hits, known, of_patient=False)
    yield from _numbers(document, known, within=False)
    yield from _rows(document, known)


def _pairs(document: Document, known: Known) -> Iterator[int]:
    """Two names of the batch side by side count whatever their case, and though one of them be an ordinary word."""
    words = document.words
    names = known.names
    hits = [index for index, word in enumerate(words) if word.folded in names]
    for index, following in pairwise(hits):
        if following == index + 1 and JOINT.fullmatch(document.gap(index)):
            pair = words[index : index + 2]
            if not any(word.function for word in pair) and not all(word.ordinary for word in pair):
                yield from (index, index + 1)


def _names(document: Document, known: Known) -> Iterator[Span]:
    hits = {index for index, word in enumerate(document.words) if _is_name(word, known)}
    hits |= _put_together(document, known)
    yield from _widened(document, hits, known, of_patient=True)
    yield from _initials(document, known)


def _is_name(word: Word, known: Known) -> bool:
    if word.folded in known.names:
        return len(word.folded) >= SHORTEST_ANYWHERE or word.capital or not word.function
    if known.slips.isdisjoint(word.neighbourhood):
        return False
    return any(is_slip(word.folded, name) for name in known.names if len(name) >= SHORTEST_ANYWHERE)


def _put_together(document: Document, known: Known) -> set[int]:
    """Names that are written apart: ``O Sullivan``, ``Mc Keon``."""
    words, found = document.words, set[int]()
    for index in range(len(words) - 1):
        if words[index].folded + words[index + 1].folded in known.names and len(document.gap(index)) == 1:
            found |= {index, index + 1}
    return found


def _widened(document: Document, hits: set[int], known: Known, *, of_patient: bool) -> Iterator[Span]:
    """Ranges of the names found, with what belongs to them on both sides."""
    done: set[int] = set()
    for index in sorted(hits):
        if index in done:
            continue
        first = last = index
        while (first - 1 not in done and _belongs(document, first - 1, -1, known, of_patient)) or first - 1 in hits - done:
            first -= 1
        while last + 1 in hits or _belongs(document, last + 1, 1, known, of_patient):
            last += 1
        done.update(range(first, last + 1))
        yield from _ranges(document, first, last)


def _ranges(document: Document, first: int, last: int) -> Iterator[Span]:
    return (Span(document.starts[index], document.end(index), Mask.NAME) for index in range(first, last + 1))


def _belongs(document: Document, index: int, side: int, known: Known, of_patient: bool) -> bool:
    """Whether a word beside a name is part of it: an initial, a title, a particle, or the other name with a slip in it."""
    if not 0 <= index < len(document.words):
        return False
    gap = document.gap(index if side < 0 else index - 1)
    if not JOINT.fullmatch(gap):
        return False
    word = document.words[index]
    if word.initial:
        return side < 0 or "." in document.gap(index)[:1] or any(word.folded in initials for initials in known.initials)
    if word.folded in (TITLES if side < 0 else CREDENTIALS):
        return word.capital
    return _is_weak(word, known) if of_patient else word.folded in known.names and word.titled


def _is_weak(word: Word, known: Known) -> bool:
    """Whether it is a name where one is expected: particles, short names, slips that make an ordinary word."""
    if word.folded in known.names or word.folded in known.particles:
        return True
    if word.function or word.digits or len(word.folded) < SHORTEST_BESIDE - 1:
        return False
    return any(is_slip(word.folded, name) for name in known.names if len(name) >= SHORTEST_BESIDE)


def _initials(document: Document, known: Known) -> Iterator[Span]:
    """``CP``, ``C.P.``, ``C. P.``"""
    words = document.words
    for index, word in enumerate(words):
        if word.upper and len(word.folded) <= LONGEST_INITIALS and word.folded in known.initials:
            yield Span(document.starts[index], document.ends[index], Mask.NAME)
        elif word.initial:
            yield from _dotted(document, index, known)


def _dotted(document: Document, index: int, known: Known) -> Iterator[Span]:
    letters, last = document.words[index].folded, index
    while len(letters) < LONGEST_INITIALS and last + 1 < len(document.words) and document.words[last + 1].initial:
        if not DOTS.fullmatch(document.gap(last)):
            return
        last += 1
        letters += document.words[last].folded
        if letters in known.initials:
            yield Span(document.starts[index], document.end(last), Mask.NAME)


def _words_and_phrases(document: Document, known: Known) -> Iterator[Span]:
    for index, word in enumerate(document.words):
        if mask := known.words.get(word.folded):
            yield Span(document.starts[index], document.ends[index], mask)
    yield from _rows(document, known)


def _rows(document: Document, known: Known) -> Iterator[Span]:
    """Whole values, word by word, whatever stands between the words."""
    row = [word.folded for word in document.words]
    for index, pair in enumerate(pairwise(row)):
        for parts, mask in known.phrases.get(pair, ()):
            last = index + len(parts)
            if tuple(row[index:last]) == parts:
                yield Span(document.starts[index], document.ends[last - 1], mask)


def _addresses(document: Document, known: Known) -> Iterator[Span]:
    """Two words of an address side by side, one of them a number of three digits or telling."""
    if not known.address:
        return
    words, start = document.words, 0
    for index in range(len(words) + 1):
        inside = (
            index < len(words) and words[index].folded in known.address and (index == start or JOINT.fullmatch(document.gap(index - 1)))
        )
        if inside:
            continue
        if index - start > 1 and any(_tells(word, known) for word in words[start:index]):
            yield Span(document.starts[start], document.ends[index - 1], Mask.ADDRESS)
        start = index if index < len(words) and words[index].folded in known.address else index + 1


def _tells(word: Word, known: Known) -> bool:
    return (
        word.folded in known.words or (word.digits and len(word.folded) >= SHORTEST_BESIDE) or (word.titled and word.folded not in STREETS)
    )


def _numbers(document: Document, known: Known, *, within: bool) -> Iterator[Span]:
    """Known numbers however their digits are grouped; ``within`` also those that a longer row of letters and digits holds."""
    if not known.numbers:
        return
    words = document.words
    for index in document.numeric:
        before = words[index - 1] if index else words[index]
        if not before.digits and len(before.folded) <= LONGEST_PREFIX and _begins(before.folded, known.heads):
            yield from _number_from(document, index - 1, known)
        word = words[index].folded
        if _begins(word, known.heads):
            yield from _number_from(document, index, known)
        if within and len(word) > SHORTEST_WITHIN and any(len(each) >= SHORTEST_WITHIN and each in word for each in known.numbers):
            yield Span(document.starts[index], document.ends[index], Mask.ID)


def _begins(row: str, heads: set[str]) -> bool:
    """Whether a known number may begin so."""
    return row[:HEAD] in heads or (row[:1] == "0" and row.lstrip("0")[:HEAD] in heads)


def _number_from(document: Document, first: int, known: Known) -> Iterator[Span]:
    """The longest known number that begins at a word."""
    numbers, heads = known.numbers, known.heads
    words, row, found = document.words, "", None
    for last in range(first, min(first + MOST_WORDS, len(words))):
        if last > first and not SEPARATOR.fullmatch(document.gap(last - 1)):
            break
        row += words[last].folded
        if not _begins(row, heads):
            break
        mask = numbers.get(row) or (numbers.get(row.lstrip("0")) if row[:1] == "0" else None)
        if mask and len(row) >= SHORTEST:
            found = last, mask
    if found:
        last, mask = found
        yield Span(document.starts[first], document.ends[_suffix(document, last) if mask is Mask.ID else last], mask)


def _suffix(document: Document, last: int) -> int:
    """The last word of the parts that follow an accession: ``-A1-2``."""
    while (
        last + 1 < len(document.words) and document.gap(last) in {"-", ".", "/"} and len(document.words[last + 1].folded) <= LONGEST_SUFFIX
    ):
        last += 1
    return last
