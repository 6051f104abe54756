"""Identifiers made ready for searching: sets of spellings, built once a patient and once a batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from slidekeeper.model.contract import Identifies
from slidekeeper.steps.records.freetext.dates import digits_of, readings
from slidekeeper.steps.records.freetext.document import SHORTEST_SLIP, WORD
from slidekeeper.steps.records.freetext.identifiers import KnownIdentifier
from slidekeeper.steps.records.freetext.numbers import SHORTEST, compact, number_forms, phone_forms
from slidekeeper.steps.records.freetext.spans import Mask
from slidekeeper.steps.records.freetext.spelling import folded, neighbourhood, prepared, spellings
from slidekeeper.steps.records.freetext.vocabulary import Vocabulary

PARTICLES = frozenset(
    "van von der den de del della di da dos du la le los las el al bin ibn ben ter ten zu zur mac mc st af av y e i".split()
)
"""Parts of names that are no name alone."""
HONORIFICS = frozenset("mr mrs ms miss mx dr prof professor md phd do rn np pa jr sr ii iii iv esq frcpath dipl med".split())
"""What stands beside a name in a cell and belongs to no person."""
HEAD = 3
"""Characters by which the beginning of a number is told."""
MOST_INITIALS = 6
"""Names of one part that are combined to initials; more would make every pair of letters one."""


@dataclass(slots=True, repr=False)
class Known:
    """What to search for. Everything is folded; hides itself."""

    names: set[str] = field(default_factory=set)
    slips: set[str] = field(default_factory=set)
    """Neighbourhoods of all names of at least four letters."""
    particles: set[str] = field(default_factory=set)
    """Parts that count beside a name only."""
    initials: set[str] = field(default_factory=set)
    words: dict[str, Mask] = field(default_factory=dict)
    """Single words that go wherever they stand: a town, a ZIP code."""
    phrases: dict[tuple[str, str], list[tuple[tuple[str, ...], Mask]]] = field(default_factory=dict)
    """Rows of words, by the first two of them."""
    numbers: dict[str, Mask] = field(default_factory=dict)
    """Compact numbers."""
    heads: set[str] = field(default_factory=set)
    """How numbers begin: most rows of digits are no known number's and are told by these."""
    days: set[tuple[int, int]] = field(default_factory=set)
    """Month and day, in both orders."""
    address: set[str] = field(default_factory=set)
    """Words of addresses; two of them side by side, one of them telling, are one."""
    uncased: set[str] = field(default_factory=set)
    """Names in scripts without capitals, some of them without spaces: searched letter by letter."""


def known_from(identifiers: Iterable[KnownIdentifier], vocabulary: Vocabulary) -> Known:
    """Make ready what is known of a patient, or of a batch."""
    known = Known()
    givens: list[tuple[str, ...]] = []
    for identifier in identifiers:
        value = prepared(identifier.value.reveal())
        parts = tuple(folded(word) for word in WORD.findall(value))
        if not parts:
            continue
        if identifier.kind is Identifies.NAME:
            givens.append(_add_name(known, value, parts))
        else:
            ADDERS.get(identifier.kind, _add_nothing)(known, value, parts, vocabulary)
    _add_initials(known, givens)
    known.heads = {number[:length] for number in known.numbers for length in range(1, HEAD + 1)}
    return known


def _add_name(known: Known, value: str, parts: tuple[str, ...]) -> tuple[str, ...]:
    """Add a name's parts; returns those that make its initials."""
    own = tuple(part for part in parts if part not in HONORIFICS) or parts
    telling = [part for part in own if part not in PARTICLES and len(part) > 1] or [part for part in own if len(part) > 1]
    names = {spelling for word in WORD.findall(value) if folded(word) in telling for spelling in spellings(word)}
    known.particles.update(set(own) - names)
    if len(own) > 1:
        names |= {"".join(own), "".join(telling)}
        _add_phrase(known, own, Mask.NAME)
    known.names |= names
    known.slips.update(*(neighbourhood(name) for name in names if len(name) >= SHORTEST_SLIP))
    if any(sign.isalpha() and sign.upper() == sign.lower() for sign in value):
        known.uncased |= {word for word in WORD.findall(value) if len(word) > 1}
    return own


def _add_initials(known: Known, names: list[tuple[str, ...]]) -> None:
    """``CP``, ``PC`` and, where two names are in one cell, of these; user names like ``cpinto`` too."""
    for own in names:
        if len(own) > 1:
            known.initials.add("".join(part[0] for part in own))
    single = names[:MOST_INITIALS]
    for one, other in itertools.permutations(single, 2):
        for left, right in itertools.product(_letters(one), _letters(other)):
            known.initials.add(left + right)
        known.names |= {one[0][0] + other[-1], other[-1] + one[0][0]} if len(other[-1]) >= SHORTEST else set()


def _letters(own: tuple[str, ...]) -> set[str]:
    """What a name of several parts contributes to initials: its first letter, that of its first real part, or all."""
    real = [part for part in own if part not in PARTICLES] or list(own)
    return {own[0][0], real[0][0], "".join(part[0] for part in own)}


def _add_phrase(known: Known, parts: tuple[str, ...], mask: Mask) -> None:
    known.phrases.setdefault((parts[0], parts[1]), []).append((parts, mask))


def _add_number(known: Known, value: str, parts: tuple[str, ...], _: Vocabulary) -> None:
    known.numbers |= dict.fromkeys(number_forms(value), Mask.ID)
    _add_whole(known, parts, Mask.ID)


def _add_phone(known: Known, value: str, parts: tuple[str, ...], _: Vocabulary) -> None:
    known.numbers |= dict.fromkeys(phone_forms(value), Mask.PHONE)
    _add_whole(known, parts, Mask.PHONE)


def _add_date(known: Known, value: str, parts: tuple[str, ...], _: Vocabulary) -> None:
    for date in readings(value):
        known.days |= {(date.month, date.day), (date.day, date.month)}
        known.numbers |= dict.fromkeys(digits_of(date), Mask.DATE)
    _add_whole(known, parts, Mask.DATE)


def _add_birth_date(known: Known, value: str, parts: tuple[str, ...], vocabulary: Vocabulary) -> None:
    """A year of birth goes with it: it tells an age over 89."""
    _add_date(known, value, parts, vocabulary)
    known.words |= {str(date.year): Mask.DATE for date in readings(value)}


def _add_address(known: Known, _: str, parts: tuple[str, ...], vocabulary: Vocabulary) -> None:
    _add_whole(known, parts, Mask.ADDRESS)
    known.address.update(parts)
    telling = [
        part for part in parts if part.isalpha() and len(part) >= SHORTEST and part not in vocabulary.ordinary and part not in STREETS
    ]
    known.words |= dict.fromkeys(telling, Mask.ADDRESS)


def _add_zip(known: Known, value: str, parts: tuple[str, ...], _: Vocabulary) -> None:
    _add_whole(known, parts, Mask.ADDRESS)
    known.words |= {form: Mask.ADDRESS for form in (parts[0], compact(value)) if len(form) >= SHORTEST}


def _add_email(known: Known, _: str, parts: tuple[str, ...], __: Vocabulary) -> None:
    _add_whole(known, parts, Mask.EMAIL)


def _add_whole(known: Known, parts: tuple[str, ...], mask: Mask) -> None:
    """The whole value, word by word; a single word only if it is long enough to mean this."""
    if len(parts) > 1 and len("".join(parts)) >= SHORTEST:
        _add_phrase(known, parts, mask)
    elif len(parts[0]) >= SHORTEST:
        known.words[parts[0]] = mask


def _add_nothing(known: Known, value: str, parts: tuple[str, ...], vocabulary: Vocabulary) -> None:
    """Ages are found by patterns; free text and what identifies nobody is no identifier."""


ADDERS: dict[Identifies, Callable[[Known, str, tuple[str, ...], Vocabulary], None]] = {
    Identifies.FILE_NAME: _add_number,
    Identifies.ID: _add_number,
    Identifies.OTHER: _add_number,
    Identifies.PHONE: _add_phone,
    Identifies.DATE: _add_date,
    Identifies.BIRTH_DATE: _add_birth_date,
    Identifies.ADDRESS: _add_address,
    Identifies.ZIP: _add_zip,
    Identifies.EMAIL: _add_email,
}
STREETS = frozenset(
    "street road avenue boulevard drive lane court place square terrace trail parkway highway circle plaza apartment suite unit "
    "floor building north south east west strasse platz allee port lake mount fort saint house".split()
)
"""Words of addresses that tell nothing alone."""
