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
from stdnum.us import itin, ssn

from slidekeeper.steps.records.freetext.spans import Mask, Span

STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|PR"
)
STREET_WORDS = (
    "Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Trail|Trl|Parkway|Pkwy|Highway|Hwy|"
    "Circle|Cir|Way|Crescent|Close|Gardens|Plaza|Alley|Loop|Ridge|Run|Walk|Mews|Route"
)
LABELS = (
    r"MRN|MR ?#|med(?:ical)?\.? rec(?:ord)?s?|hosp(?:ital)?\.? (?:no|num(?:ber)?|id|#)|chart|account|acct|acc(?:ession)?(?: ?(?:no|num(?:ber)?|#))?|case|"
    r"specimen|slide|block|ref(?:erence)?|visit|encounter|FIN|CSN|SSN|social security(?: (?:no|number))?|NHS(?: ?(?:no|number))?|passport|licen[sc]e|"
    r"polic[ye]|member|subscriber|beneficiary|medicare|medicaid|insurance|health plan|plan|claim|certificate|serial|device|UDI|"
    r"(?:patient|pt|study|subject|sample|lab|site)(?:'s)? ?(?:id|no|num(?:ber)?|#)|ID"
)


class Recognizer(NamedTuple):
    """A form, what it is, and whether a find holds."""

    form: re.Pattern[str]
    mask: Mask
    holds: Callable[[str], bool] | None = None
    """Gets the marked part; None: always."""


def _is_issued(number: str) -> bool:
    """Whether some authority's checksum holds; only for digits in groups that could as well be measurements."""
    checks = (ssn, itin, sin, nhs, idnr, nir, bsn)
    return any(check.is_valid(number) for check in checks) or (len(re.sub(r"\D", "", number)) >= 13 and luhn.is_valid(number.replace(" ", "").replace("-", "")))  # noqa: PLR2004 - a payment card's fewest digits


def _is_address(number: str) -> bool:
    return all(int(part) <= 255 for part in number.split("."))  # noqa: PLR2004 - a byte


def _has_many_digits(number: str) -> bool:
    return sum(map(str.isdigit, number)) >= 4  # noqa: PLR2004 - shorter numbers are counts


RECOGNIZERS = (
    Recognizer(re.compile(r"[^\W_](?:[\w.+%-]{0,63}\w)?@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}"), Mask.EMAIL),
    Recognizer(re.compile(r"\b(?:https?://|ftp://|www\.)[^\s<>\"')\]]+", re.IGNORECASE), Mask.URL),
    Recognizer(re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]?\d)"), Mask.IP, _is_address),
    Recognizer(re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){5,7}[0-9A-Fa-f]{1,4}(?![\w:])"), Mask.IP),
    Recognizer(re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), Mask.ID, iban.is_valid),
    Recognizer(re.compile(r"(?<![\w.])\+\d[\d\s().-]{6,16}\d"), Mask.PHONE),
    Recognizer(re.compile(r"(?<![\w.])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?: ?(?:x|ext\.?) ?\d{1,5})?(?![\w-])"), Mask.PHONE),
    Recognizer(re.compile(r"(?<![\w.])\(?0\d{2,5}\)?[ /-]\d{3,8}(?:[ -]\d{2,4}){0,2}(?!\w)"), Mask.PHONE),
    Recognizer(
        re.compile(r"\b(?:tel|telephone|phone|ph|fax|mobile|cell|pager|ext|call(?:ed)?)\b[.: #(no]{0,4}((?:\+?\(?\d)[\d ().-]{2,18}\d)", re.IGNORECASE),
        Mask.PHONE,
        _has_many_digits,
    ),
    Recognizer(re.compile(r"(?<![\w.])\d{3}-\d{2}-\d{4}(?![\w-])"), Mask.ID),
    Recognizer(re.compile(r"(?<![\w.])\d{2,5}-\d{2,5}-\d{2,5}(?![\w-])"), Mask.ID),
    Recognizer(re.compile(r"(?<![\w.,])\d{1,4}(?:[ -]\d{2,6}){2,5}(?![\w%]|[.,]\d)"), Mask.ID, _is_issued),
    Recognizer(re.compile(r"(?<![\w.])\d{7,}(?!\w)"), Mask.ID),
    Recognizer(re.compile(r"#(?: ?[A-Za-z]{1,5}-?)?\d{4,}\b"), Mask.ID),
    Recognizer(re.compile(r"\b[A-Za-z]{1,3}\d{2}[- ]\d{3,7}(?:-[A-Za-z]?\d{1,3}){0,3}\b"), Mask.ID),
    Recognizer(re.compile(r"\b(?:[A-Z]{1,6}-)?[A-Z]{1,6}-\d{4,}(?:-\w{1,4})?\b|\b[A-Z]{1,5}\d{5,}\b|\b\d{5,}-?[A-Z]{2,5}\b"), Mask.ID),
    Recognizer(
        re.compile(rf"\b(?:{LABELS})\b\)?(?:[ :#.=-]|\b(?:is|no|nr|num|number|id)\b){{0,8}}([A-Za-z]{{0,6}}[-/]?\d[\w/-]*(?: \d{{3,}}){{0,3}})", re.IGNORECASE),
        Mask.ID,
        _has_many_digits,
    ),
    Recognizer(
        re.compile(
            rf"\b\d{{1,6}}[A-Za-z]? (?:[A-Z][\w.'’-]* ){{1,4}}(?:{STREET_WORDS})\b\.?"
            rf"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|Room|Rm|#)\.? ?\w{{1,5}})?(?:,? [A-Z]\w+(?: [A-Z]\w+)?,? (?:{STATES})\b)?(?:,? \d{{5}}(?:-\d{{4}})?)?"
        ),
        Mask.ADDRESS,
    ),
    Recognizer(re.compile(r"\bP\.? ?O\.? Box \d+", re.IGNORECASE), Mask.ADDRESS),
    Recognizer(re.compile(rf"\b(?:{STATES}),? \d{{5}}(?:-\d{{4}})?\b"), Mask.ADDRESS),
    Recognizer(re.compile(r"\bzip(?: code)?:? (\d{5}(?:-\d{4})?)\b", re.IGNORECASE), Mask.ADDRESS),
    Recognizer(re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}\b"), Mask.ADDRESS),
    Recognizer(re.compile(rf"\b[A-Z][a-z]+(?: [A-Z][a-z]+){{0,2}}, (?:{STATES})\b(?! ?[\d%:+-])"), Mask.PLACE),
    Recognizer(re.compile(r"\b(9\d|1[0-3]\d)(?=[ -]{0,2}(?:years?|yrs?|y ?/ ?o|y\.? ?o\.?\b|yo\b|YO\b|y\b|jährig|ans\b))", re.IGNORECASE), Mask.AGE),
    Recognizer(re.compile(r"\b(?:aged?|age:|age of) (9\d|1[0-3]\d)\b", re.IGNORECASE), Mask.AGE),
    Recognizer(re.compile(r"\b(9\d|1[0-3]\d)[MF]\b"), Mask.AGE),
    Recognizer(re.compile(r"\b(?:his|her|their|mid|late|early)[ -](?:(?:mid|late|early)[ -])?(9\d'?s|nineties)\b|\bnonagenarian\b|\bcentenarian\b", re.IGNORECASE), Mask.AGE),
)
"""Order does not matter: all of them look at all of the text."""


def pattern_spans(text: str) -> Iterator[Span]:
    """Everything that shows by its form, except dates and names."""
    for form, mask, holds in RECOGNIZERS:
        for match in form.finditer(text):
            group = 1 if form.groups and match.group(1) is not None else 0
            if holds is None or holds(match.group(group)):
                yield Span(match.start(group), match.end(group), mask)
