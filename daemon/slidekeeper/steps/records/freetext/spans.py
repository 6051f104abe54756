"""Ranges of a text that must go, and putting marks in their place."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Mask(enum.StrEnum):
    """What stood where a mark stands now; ``[NAME]`` and so on."""

    NAME = "NAME"
    DATE = "DATE"
    AGE = "AGE"
    ID = "ID"
    PHONE = "PHONE"
    EMAIL = "EMAIL"
    URL = "URL"
    IP = "IP"
    ADDRESS = "ADDRESS"
    PLACE = "PLACE"
    """A hospital, a practice, a town: geography below a state."""

    @property
    def mark(self) -> str:
        """What is written instead."""
        return f"[{self.value}]"


MARK = re.compile(rf"\[(?:{'|'.join(Mask)})\]")
"""A mark that is there already; nothing within it is looked at again."""

JOINT = re.compile(r"[\s,.'’\-/&()]{0,3}")
"""What may stand between two parts of one identifier: ``Pinto, Carolina``."""


class Span(NamedTuple):
    """Half-open range of characters, and what it holds."""

    start: int
    end: int
    mask: Mask


def united(text: str, spans: Iterable[Span]) -> list[Span]:
    """In order and apart: overlapping ranges become one under the mask of the first and longest, as do neighbours of one mask."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        last = result[-1] if result else None
        if last and (span.start < last.end or _continues(text, last, span)):
            result[-1] = Span(last.start, max(last.end, span.end), last.mask)
        else:
            result.append(span)
    return result


def _continues(text: str, last: Span, span: Span) -> bool:
    return span.mask is last.mask and JOINT.fullmatch(text, last.end, span.start) is not None


APART_BEFORE = re.compile(r"(?:^|[\s([{\"])\Z")
APART_AFTER = re.compile(r"[.,;:]?(?:\s|\Z)|[)\]}\"]")


def stand_apart(text: str, spans: Iterable[Span]) -> bool:
    """Whether blanks or brackets part every range from its neighbours: then a mark in its place can make nothing else recognizable."""
    return all(
        APART_BEFORE.search(text, max(0, span.start - 1), span.start) and (text[span.end - 1] != "." and APART_AFTER.match(text, span.end))
        for span in spans
    )


def outside_marks(text: str, spans: list[Span]) -> list[Span]:
    """The parts of the ranges that lie outside marks already made."""
    if not spans or "[" not in text:
        return spans
    marks = [match.span() for match in MARK.finditer(text)]
    return [part for span in spans for part in _cut(span, marks)]


def _cut(span: Span, marks: list[tuple[int, int]]) -> Iterator[Span]:
    start = span.start
    for mark_start, mark_end in marks:
        if mark_end <= start or mark_start >= span.end:
            continue
        if start < mark_start:
            yield Span(start, mark_start, span.mask)
        start = max(start, mark_end)
    if start < span.end:
        yield Span(start, span.end, span.mask)


def replaced(text: str, spans: Iterable[Span]) -> str:
    """The text with a mark in place of every range; ranges are in order and apart."""
    pieces: list[str] = []
    position = 0
    for span in spans:
        pieces += (text[position : span.start], span.mask.mark)
        position = span.end
    pieces.append(text[position:])
    return "".join(pieces)
