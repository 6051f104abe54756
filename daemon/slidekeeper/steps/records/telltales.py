"""What betrays an identifier by its form, whosever it is: numbers with a label or a check digit, addresses of mail, full dates."""

from __future__ import annotations

import enum
from collections.abc import Iterator

import polars as pl
from stdnum import iban, luhn
from stdnum.exceptions import ValidationError

_D, _M = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])"
_MONTH = r"(?:jan|feb|mar|m[aä]r|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-zä]{0,7}\.?"
_LABEL = (
    r"(?:mrn|medical[ -]record|med[. ]?rec|patient(?:en)?|pat|pid|accession|acc|case|fall-?(?:nr|nummer)|ssn|social security|"
    r"insurance|member|policy|account|acct|specimen|encounter|visit|passport|licen[cs]e|versicherten)"
)
_NUMBERED = r"(?:[ -]?(?:no|nr|num|number|nummer|id|identifier))?"
CARD_LENGTHS = range(13, 20)


class Telltale(enum.StrEnum):
    """What a text gives away."""

    SSN = "pattern-ssn"
    PHONE = "pattern-phone"
    EMAIL = "pattern-email"
    LABELLED = "pattern-labelled-number"
    ACCOUNT = "pattern-account"
    DATE = "pattern-date"


PATTERNS = {
    Telltale.SSN: r"\b[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}\b",
    Telltale.PHONE: (
        r"(?:\([0-9]{3}\) ?|\b[0-9]{3}[-. ])[0-9]{3}[-. ][0-9]{4}\b"
        r"|\+[0-9]{1,3}[ ./()-]{0,2}[0-9](?:[ ./()-]{0,2}[0-9]){6,12}\b"
        r"|\b0[0-9]{2,5} ?[/-] ?[0-9]{4,9}\b"
    ),
    Telltale.EMAIL: r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)+",
    Telltale.LABELLED: rf"(?i)\b{_LABEL}{_NUMBERED}\.?\s?[:#=]?\s?#?\s?[a-z]{{0,4}}[-: ]?[0-9][0-9 -]{{3,}}[0-9]\b",
    Telltale.DATE: (
        rf"(?i)\b[12][0-9]{{3}}(?:-{_M}-{_D}|/{_M}/{_D}|\.{_M}\.{_D})(?:\b|T)"
        rf"|\b(?:{_D}\.\s?{_M}\.\s?|{_M}/{_D}/|{_D}/{_M}/|{_M}-{_D}-|{_D}-{_M}-)(?:[12][0-9]{{3}}|[0-9]{{2}})\b"
        rf"|\b{_D}(?:st|nd|rd|th|\.)?[ -]?(?:of )?{_MONTH}[ ,-]{{0,2}}[12][0-9]{{3}}\b"
        rf"|\b{_MONTH} ?{_D}(?:st|nd|rd|th)?,? {{0,2}}[12][0-9]{{3}}\b"
        r"|\b(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])\b"
    ),
}
ACCOUNT = r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b|\b[0-9](?:[ -]?[0-9]){12,18}\b"


def telltales(texts: pl.Series) -> Iterator[tuple[Telltale, pl.Series]]:
    """For each kind of telltale, which texts have it (Boolean)."""
    plain = texts.str.normalize("NFKC")
    for telltale, pattern in PATTERNS.items():
        yield telltale, plain.str.contains(pattern).fill_null(False)
    yield Telltale.ACCOUNT, _accounts(plain)


def _accounts(plain: pl.Series) -> pl.Series:
    """Which texts hold an IBAN (ISO 13616) or a payment card's number (ISO/IEC 7812) whose check digits are right."""
    candidates = plain.str.extract_all(ACCOUNT)
    valid = [each for each in candidates.explode().drop_nulls().unique().to_list() if _is_account(each)]
    return candidates.list.eval(pl.element().is_in(valid)).list.any().fill_null(False)


def _is_account(candidate: str) -> bool:
    """Whether the check digits are right."""
    if candidate[0].isalpha():
        return bool(iban.is_valid(candidate))
    digits = candidate.replace(" ", "").replace("-", "")
    try:
        return len(digits) in CARD_LENGTHS and bool(luhn.validate(digits))
    except ValidationError:
        return False
