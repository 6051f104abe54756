"""Dates of any form: recognizing them, and telling whether 7/4 is one of the patient's."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from slidekeeper.steps.records.freetext.document import Document, Word
from slidekeeper.steps.records.freetext.spans import Mask, Span
from slidekeeper.steps.records.freetext.spelling import ascii_digits

NAMES = """
january jan januar janvier enero gennaio januari janeiro jänner ene gen
february feb februar fevrier febrero febbraio februari fevereiro
march mar märz mars marzo maart marco mrz
april apr avril abril aprile abr
may mai mayo maggio mei maio
june jun juni juin junio giugno junho
july jul juli juillet julio luglio julho
august aug aout agosto augustus ago
september sep sept septembre septiembre settembre setembro
october oct oktober okt octobre octubre ottobre outubro
november nov novembre noviembre novembro
december dec dezember dez decembre diciembre dicembre dezembro
"""
"""One line a month: English, German, French, Spanish, Italian, Dutch, Portuguese."""
MONTHS = {name: number for number, line in enumerate(NAMES.strip().replace("ä", "a").splitlines(), 1) for name in line.split()}
ALSO_WORDS = frozenset({"may", "mar", "mai", "march", "gen", "dec", "sep", "ago", "mars", "ene", "mei", "marco", "nov"})
"""Months that are words or measures too; months only where written with a capital."""
DAY = re.compile(r"(\d{1,2})(st|nd|rd|th|er|e)?")
YEAR = re.compile(r"(19|20)\d\d")
SHORT_YEAR = re.compile(r"\d\d")
NEAR = re.compile(r"[\s,.\-/'’]{0,3}")
TIED = re.compile(r"[-/.'’]|,? ['’]")
"""Before a year of two digits: ``30-OCT-20``."""
BETWEEN = frozenset({"of", "de", "the", "den", "di", "del", "le"})

FULL = re.compile(
    r"(?<![\d.])(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\s?\d{1,2}\2\s?(?:\d{4}|\d{2}))(?![\d]|[./-]\d)"
    r"(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
COMPACT = re.compile(r"(?<!\d)(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:\d{6})?(?!\d)")
MONTH_AND_YEAR = re.compile(r"(?<![\d/.-])(?:0?[1-9]|1[0-2])[/-](?:19|20)\d\d(?![\d/-])")
PARTIAL = re.compile(r"(?<![\d/.,-])(\d{1,2})([/.-])(\d{1,2})(?:\2(?!\d))?(?![\d/%]|[.,-]\d)")
"""Two small numbers: a date, a fraction, a range or a score; ``7.4.`` with its last point."""
DIGITS = re.compile(r"\d+")
CUE = re.compile(
    r"(?:\b(?:on|dated?|dob|born|b|collected|received|rec'?d|taken|since|until|signed|reported|obtained|seen|visit|admitted|discharged|birthday|due)"
    r"[.:]?|\bd\.?o\.?b\.?:?) \Z",
    re.IGNORECASE,
)
COUNTED = re.compile(
    r"\s*(?:of\b|slides?\b|levels?\b|nodes?\b|cores?\b|positive|lymph|blocks?\b|margins?\b|hpf|mm\b|cm\b|%)", re.IGNORECASE
)
LONGEST_CUE = 14
DAYS, MONTHS_OF_YEAR = 31, 12


def dates(document: Document) -> Iterator[Span]:
    """Every date with a year or a month's name, and every ``7/4`` after a word like ``on`` or ``collected``."""
    text = document.text
    for digits in DIGITS.finditer(text):
        for pattern in (FULL, COMPACT, MONTH_AND_YEAR):
            match = pattern.match(text, digits.start())
            if match and _plausible(match.group()):
                yield Span(match.start(), match.end(), Mask.DATE)
    yield from _cued(text)
    for index, word in enumerate(document.words):
        if word.folded in MONTHS:
            yield from _around(document, index)


def partial_dates(text: str) -> Iterator[tuple[Span, tuple[int, int]]]:
    """All pairs of small numbers that could be a day and a month, with the two numbers."""
    for match in filter(None, (PARTIAL.match(text, digits.start()) for digits in DIGITS.finditer(text))):
        one, other = int(match[1]), int(match[3])
        if 1 <= min(one, other) <= MONTHS_OF_YEAR and 1 <= max(one, other) <= DAYS:
            yield Span(match.start(), match.end(3), Mask.DATE), (one, other)


def readings(value: str) -> frozenset[datetime.date]:
    """What a cell may mean: one date if it is ISO 8601, else the day first and the month first; empty when it is none."""
    numbers = [int(part) for part in re.findall(r"\d+", ascii_digits(value))][:3]
    named = [MONTHS[word] for word in re.findall(r"[a-z]+", value.lower()) if word in MONTHS]
    if len(numbers) == 1 and len(str(numbers[0])) == len("20160207"):
        numbers = [numbers[0] // 10000, numbers[0] // 100 % 100, numbers[0] % 100]
    if named and len(numbers) >= 2:  # noqa: PLR2004 - a day and a year
        numbers = [numbers[0], named[0], numbers[1]]
    if len(numbers) < 3:  # noqa: PLR2004 - year, month, day
        return frozenset()
    if numbers[0] > DAYS:
        return frozenset(_dates(numbers))
    one, other, year = numbers
    return frozenset((*_dates([year, one, other]), *_dates([year, other, one])))


def digits_of(date: datetime.date) -> frozenset[str]:
    """A date as digits alone, in every order."""
    year, month, day = f"{date.year:04}", f"{date.month:02}", f"{date.day:02}"
    return frozenset(
        (year + month + day, day + month + year, month + day + year, year[2:] + month + day, day + month + year[2:], month + day + year[2:])
    )


def _dates(parts: list[int]) -> Iterator[datetime.date]:
    year, month, day = parts
    centuries = (year,) if year > 99 else (1900 + year, 2000 + year)  # noqa: PLR2004 - the last year of two digits
    for each in centuries:
        try:
            yield datetime.date(each, month, day)
        except ValueError:
            continue


def _plausible(found: str) -> bool:
    """Whether a day and a month can be read in it; ``99.12.98`` has none."""
    parts = sorted(int(part) for part in re.findall(r"\d+", found)[:3])
    return len(parts) < 3 or (1 <= parts[0] <= MONTHS_OF_YEAR and parts[1] <= DAYS) or parts[0] == 0  # noqa: PLR2004


def _cued(text: str) -> Iterator[Span]:
    for span, _ in partial_dates(text):
        before = text[max(0, span.start - LONGEST_CUE) : span.start]
        if CUE.search(before) and not COUNTED.match(text, span.end):
            yield span


def _around(document: Document, index: int) -> Iterator[Span]:
    """A month's name with its day and its year, on either side."""
    words = document.words
    if words[index].folded in ALSO_WORDS and not words[index].capital:
        return
    first = _day_before(document, index)
    last = index
    if first == index and index + 1 < len(words) and NEAR.fullmatch(document.gap(index)) and _is_day(words[index + 1]):
        last = index + 1
    last = _year_after(document, last)
    if first < last:
        yield Span(document.starts[first], document.ends[last], Mask.DATE)


def _day_before(document: Document, index: int) -> int:
    at = index - 1
    while at > 0 and document.words[at].folded in BETWEEN:
        at -= 1
    near = index > 0 and NEAR.fullmatch(document.gap(at)) and NEAR.fullmatch(document.gap(index - 1))
    return at if near and _is_day(document.words[at]) else index


def _year_after(document: Document, last: int) -> int:
    following = last + 1
    if following < len(document.words) and document.words[following].folded in {"de", "of"}:
        following += 1
    if following >= len(document.words):
        return last
    gap, word = document.gap(following - 1), document.words[following].folded
    if NEAR.fullmatch(gap) and (YEAR.fullmatch(word) or (TIED.fullmatch(gap) and SHORT_YEAR.fullmatch(word))):
        return following
    return last


def _is_day(word: Word) -> bool:
    match = DAY.fullmatch(word.folded) if word.digits else None
    return match is not None and 1 <= int(match[1]) <= DAYS
