"""Identifiers that show by their form, whoever's they are; checksums tell numbers that are issued from numbers that are measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from stdnum import iban, luhn
from stdnum.ca import sin
from stdnum.de import idnr
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.nl import bsn

from slidekeeper.steps.records.freetext.spans import Mask, Span

STATES = "|".join(
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA RI".split()
    + "SC SD TN TX UT VT VA WA WV WI WY".split()
)
STREET_WORDS = (
    "Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Trail|Trl|Parkway|Pkwy|Highway|Hwy|"
    "Circle|Cir|Way|Crescent|Close|Gardens|Plaza|Alley|Loop|Ridge|Run|Walk|Mews|Route"
)
CHECKS = (sin, nhs, idnr, nir, bsn)
"""Numbers of persons: Canada, United Kingdom, Germany, France, Netherlands. Those of the United States have no checksum, but a form."""
CARD_DIGITS = 13
"""Fewest digits of a payment card."""


class Recognizer(NamedTuple):
    """A form, what it is, and whether a find holds."""

    form: re.Pattern[str]
    mask: Mask
    holds: Callable[[str], bool] | None = None
    """Gets what has the form; None: it always holds."""


def _is_issued(number: str) -> bool:
    """Whether some authority's checksum holds; only for digits in groups that could as well be measurements."""
    digits = re.sub(r"\D", "", number)
    return any(check.is_valid(digits) for check in CHECKS) or (len(digits) >= CARD_DIGITS and luhn.is_valid(digits))


def _is_address(number: str) -> bool:
    return all(int(part) <= 255 for part in number.split("."))  # noqa: PLR2004 - a byte


AT_DIGITS = (
    Recognizer(re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]?\d)"), Mask.IP, _is_address),
    Recognizer(re.compile(r"(?<![\w.])\+\d[\d\s().-]{6,16}\d"), Mask.PHONE),
    Recognizer(
        re.compile(r"(?<![\w.])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?: ?(?:x|ext\.?) ?\d{1,5})?(?![\w-])"), Mask.PHONE
    ),
    Recognizer(re.compile(r"(?<![\w.])\(?0\d{2,5}\)?[ /-]\d{3,8}(?:[ -]\d{2,4}){0,2}(?!\w)"), Mask.PHONE),
    Recognizer(re.compile(r"(?<![\w.])(?:\d{3}-\d{2}-\d{4}|\d{2,5}-\d{2,5}-\d{2,5})(?![\w-])"), Mask.ID),
    Recognizer(re.compile(r"(?<![\w.,])\d{1,4}(?:[ -]\d{2,6}){2,5}(?![\w%]|[.,]\d)"), Mask.ID, _is_issued),
    Recognizer(re.compile(r"(?<![\w.])(?:\d{7,}(?!\w)|\d{5,}-?[A-Z]{2,5}\b)"), Mask.ID),
    Recognizer(re.compile(r"(?:(?<=#)|(?<=# ))\d{4,}\b"), Mask.ID),
    Recognizer(
        re.compile(
            rf"\b\d{{1,6}}[A-Za-z]? (?:[A-Z][\w.'’-]* ){{1,4}}(?:{STREET_WORDS})\b\.?"
            rf"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|#)\.? ?\w{{1,5}})?"
            rf"(?:,? [A-Z]\w+(?: [A-Z]\w+)?,? (?:{STATES})\b)?(?:,? \d{{5}}(?:-\d{{4}})?)?"
        ),
        Mask.ADDRESS,
    ),
    Recognizer(
        re.compile(r"\b(?:9\d|1[0-3]\d)(?=[ -]{0,2}(?:years?|yrs?|y ?/ ?o|y\.? ?o\b|y\b|jährig|ans\b)|[MF]\b|(?<=90)'?s\b)", re.IGNORECASE),
        Mask.AGE,
    ),
    Recognizer(re.compile(r"(?:(?<=\bage )|(?<=\baged )|(?<=\bage: )|(?<=\bage of ))(?:9\d|1[0-3]\d)\b", re.IGNORECASE), Mask.AGE),
)
"""Tried where a row of digits begins, and at a bracket or plus sign before it; thus their cost is that of the numbers in a text."""

AT_WORDS = (
    Recognizer(re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), Mask.ID, iban.is_valid),
    Recognizer(re.compile(r"\b[A-Za-z]{1,3}\d{2}[- ]\d{3,7}(?:-[A-Za-z]?\d{1,3}){0,3}\b"), Mask.ID),
    Recognizer(re.compile(r"\b(?:(?:[A-Z]{1,6}-)?[A-Z]{1,6}-\d{4,}(?:-\w{1,4})?|[A-Z]{1,5}\d{5,})\b"), Mask.ID),
    Recognizer(re.compile(r"(?<=#)[A-Za-z]{1,5}-?\d{4,}\b"), Mask.ID),
    Recognizer(re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}\b"), Mask.ADDRESS),
)
"""Tried where a row of letters, digits and hyphens begins that holds a digit and does not begin with one."""

ANYWHERE = (
    ("@", Recognizer(re.compile(r"[^\W_](?:[\w.+%-]{0,63}\w)?@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"), Mask.EMAIL)),
    ("://", Recognizer(re.compile(r"\b[a-z]{3,5}://[^\s<>\"')\]]+", re.IGNORECASE), Mask.URL)),
    ("www.", Recognizer(re.compile(r"\bwww\.[^\s<>\"')\]]+"), Mask.URL)),
    ("Box ", Recognizer(re.compile(r"\bP\.? ?O\.? Box \d+"), Mask.ADDRESS)),
    ("::", Recognizer(re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){1,6}(?::[0-9A-Fa-f]{1,4}){1,6}(?![\w:])"), Mask.IP)),
    (":", Recognizer(re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])"), Mask.IP)),
    ("nineties", Recognizer(re.compile(r"\bnineties\b"), Mask.AGE)),
    ("enarian", Recognizer(re.compile(r"\b(?:non|cent)a?genarian\b|\bcentenarian\b", re.IGNORECASE), Mask.AGE)),
)
"""Tried everywhere, where the text holds what they need."""
DIGITS = re.compile(r"\d+")
LONGEST_START = 16
OPENING = frozenset("(+")


def pattern_spans(text: str) -> Iterator[Span]:
    """Everything that shows by its form, except dates and names."""
    for needed, recognizer in ANYWHERE:
        if needed in text:
            yield from (Span(match.start(), match.end(), recognizer.mask) for match in recognizer.form.finditer(text))
    seen = -1
    for digits in DIGITS.finditer(text):
        at = digits.start()
        word = _word_start(text, at)
        if word == at or not text[at - 1].isalpha():
            for start in (at - 1, at) if at and text[at - 1] in OPENING else (at,):
                yield from _matches(text, start, AT_DIGITS)
        if word not in {seen, at}:
            yield from _matches(text, word, AT_WORDS)
        seen = word


def _matches(text: str, start: int, recognizers: tuple[Recognizer, ...]) -> Iterator[Span]:
    for form, mask, holds in recognizers:
        match = form.match(text, start)
        if match and (holds is None or holds(match.group())):
            yield Span(match.start(), match.end(), mask)


def _word_start(text: str, at: int) -> int:
    """Where the row of letters, digits and hyphens begins that a digit stands in."""
    earliest = max(0, at - LONGEST_START)
    while at > earliest and (text[at - 1].isalnum() or text[at - 1] == "-"):
        at -= 1
    return at
