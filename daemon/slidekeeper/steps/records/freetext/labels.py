"""Numbers that a word before them declares an identifier: ``MRN 5395-0347``, ``Hosp no``, ``Tel``; a state before its ZIP code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from slidekeeper.steps.records.freetext.document import Document
from slidekeeper.steps.records.freetext.patterns import STATES
from slidekeeper.steps.records.freetext.spans import Mask, Span

IDS = frozenset(
    "mrn mr fin csn ssn nhs id ids hosp hospital chart account acct acc accession case specimen slide block ref reference visit "
    "encounter record records security passport licence license policy member subscriber beneficiary medicare medicaid insurance "
    "plan claim certificate serial device udi patient pt study subject sample lab site hpbn hpn".split()
)
PHONES = frozenset("tel telephone phone ph fax mobile cell pager ext extension call called contact".split())
NEED_FILLER = frozenset(
    "patient pt study subject sample lab site hosp hospital mr block visit call called device plan records contact".split()
)
"""Label a number only with ``no``, ``id`` or ``#`` between, or a colon: a hospital may have 1200 beds."""
FILLERS = frozenset("no nr num number numbers is id code".split())
ABBREVIATIONS = frozenset(STATES.lower().split("|"))
GAP = re.compile(r"[\s:#.=()\-\[]{1,4}")
TIES = frozenset("-/")
GROUPS = frozenset((" ", ".", ") ", " (", ")", " - "))
FEWEST_DIGITS = 4
MOST_FILLERS = 2
ZIP_DIGITS = 5
LONGEST_PREFIX = 6
MOST_PARTS = 5


def labelled_spans(document: Document) -> Iterator[Span]:
    """Numbers of at least four digits after their label."""
    last = -1
    for index in document.numeric:
        if index <= last:
            continue
        first, last = _first(document, index), _last(document, index)
        if sum(map(str.isdigit, document.text[document.starts[first] : document.ends[last]])) < FEWEST_DIGITS:
            last = index
        elif mask := _label(document, first):
            yield Span(document.starts[first], document.ends[last], mask)


def _first(document: Document, index: int) -> int:
    """Letters that a hyphen ties to the number belong to it: ``JH-998877``."""
    before = index - 1
    if before >= 0 and document.gap(before) == "-" and len(document.words[before].folded) <= LONGEST_PREFIX:
        return before
    return index


def _last(document: Document, index: int) -> int:
    last = index
    while last + 1 < len(document.words) and last - index < MOST_PARTS and _goes_on(document, last):
        last += 1
    return last


def _goes_on(document: Document, last: int) -> bool:
    gap = document.gap(last)
    return gap in TIES or (gap in GROUPS and document.words[last + 1].folded.isdigit())


def _label(document: Document, first: int) -> Mask | None:
    """What the words before a number declare it to be."""
    at, gap = first - 1, document.gap(first - 1)
    if at < 0 or not GAP.fullmatch(gap):
        return None
    if len(document.words[first].folded) == ZIP_DIGITS and (document.words[at].folded == "zip" or _is_state(document, at)):
        return Mask.ADDRESS
    marked = ":" in gap or "#" in gap
    for _ in range(MOST_FILLERS):
        if at > 0 and document.words[at].folded in FILLERS and GAP.fullmatch(document.gap(at - 1)):
            marked, at = True, at - 1
    label = document.words[at].folded
    if label in NEED_FILLER and not marked:
        return None
    return Mask.PHONE if label in PHONES else Mask.ID if label in IDS else None


def _is_state(document: Document, at: int) -> bool:
    return document.words[at].upper and document.words[at].folded in ABBREVIATIONS
