"""How records refer to slides, cases and patients: many identifiers at once, to their numbers and back."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeVar, cast

from slidekeeper.adapters.linking.sealing import as_bytes, as_text
from slidekeeper.adapters.linking.store import Store
from slidekeeper.adapters.linking.withdrawal import withdrawn
from slidekeeper.errors import Permanent
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.naming import barcode_in
from slidekeeper.ports.linking import LONGEST_OFFSET, Revealed

PORTION = 50_000
"""Values handled at once: what is sorted in one go holds up the event loop meanwhile, and the fewer, the less order there is."""

T = TypeVar("T")
Numbered: TypeAlias = Callable[[Store, Domain, Sequence[str]], list[str]]


def refer(store: Store, domain: Domain, values: Sequence[Concealed[str]]) -> list[str | None]:
    """Numbers of values, drawn for those that have none; None where consent is withdrawn."""
    return _referred(store, domain, values, _numbers)


def refer_slides(store: Store, names: Sequence[Concealed[str]]) -> list[SlideNumber | None]:
    """Numbers of the slides with these original file names: known by the name, else by the barcode that the name tells."""
    return cast("list[SlideNumber | None]", _referred(store, Domain.SLIDE, names, _slide_numbers))


def find(store: Store, domain: Domain, values: Sequence[Concealed[str]]) -> list[str | None]:
    """Numbers of values as far as they have one; a slide is known by its barcode, else by an original file name."""
    numbers: list[str | None] = []
    for portion in _portions(values):
        plain = [value.reveal() for value in portion]
        lookups = store.lookups(domain, plain)
        known = store.known(domain, lookups)
        named = _by_name(store, plain) if domain is Domain.SLIDE else {}
        numbers += [known.get(lookup, named.get(value)) for lookup, value in zip(lookups, plain, strict=True)]
    return numbers


def aliases(store: Store, numbers: Sequence[SlideNumber]) -> dict[SlideNumber, tuple[SlideNumber, ...]]:
    """Other slides with the same barcode or name in their alias form, in rising order; every number has an entry."""
    question = (
        "SELECT DISTINCT mine.number, other.number FROM asked CROSS JOIN aliases AS mine ON mine.number = value "
        "CROSS JOIN aliases AS other ON other.lookup = mine.lookup AND other.number != mine.number ORDER BY 1, 2"
    )
    found: dict[SlideNumber, tuple[SlideNumber, ...]] = {}
    for portion in _portions(numbers):
        found.update(dict.fromkeys(portion, ()))
        for number, other in store.matching_numbers(question, set(portion)):
            found[SlideNumber(number)] += (SlideNumber(other),)
    return found


def offsets(store: Store, patients: Sequence[str]) -> list[int]:
    """Each patient's secret shift in days, drawn when it is first asked for."""
    days: list[int] = []
    with store.transaction():
        for portion in _portions(patients):
            known = _offsets(store, set(portion))
            days += [known[number] for number in portion]
    return days


def reveal(store: Store, numbers: Sequence[str]) -> dict[str, Revealed]:
    """What stands behind numbers; those that stand for nobody are left out."""
    revealed: dict[str, Revealed] = {}
    for portion in _portions(numbers):
        wanted = set(portion)
        names: dict[str, list[Concealed[str]]] = {}
        question = "SELECT number, sealed FROM asked CROSS JOIN original_names ON number = value"
        for number, sealed in store.matching_numbers(question, wanted):
            names.setdefault(number, []).append(_opened(store, "name", sealed))
        question = "SELECT number, domain, sealed FROM asked CROSS JOIN links ON number = value"
        for number, domain, sealed in store.matching_numbers(question, wanted):
            revealed[number] = Revealed(Domain(domain), _opened(store, domain, sealed), tuple(names.get(number, ())))
    return revealed


def _portions(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + PORTION] for start in range(0, len(values), PORTION))


def _revealed(values: Sequence[Concealed[str]]) -> list[str]:
    """The bare values; none may be empty, else all rows with an empty cell would become one patient."""
    plain = [value.reveal() for value in values]
    empty = sum(not value.strip() for value in plain)
    if empty:
        raise Permanent("empty-identifier", f"{empty} of {len(plain)} identifiers are empty")
    return plain


def _offsets(store: Store, numbers: set[str]) -> dict[str, int]:
    _refuse_strangers(store, numbers)
    question = "SELECT number, sealed FROM asked CROSS JOIN offsets ON number = value"
    known = {number: int(store.seal.open(f"offset {number}", sealed)) for number, sealed in store.matching_numbers(question, numbers)}
    drawn = {number: _draw_offset() for number in sorted(numbers - known.keys())}
    version = store.seal.ring.version
    rows = ((number, store.seal.seal(f"offset {number}", str(days).encode()), version) for number, days in drawn.items())
    store.connection.executemany("INSERT INTO offsets VALUES (?, ?, ?)", rows)
    return known | drawn


def _referred(store: Store, domain: Domain, values: Sequence[Concealed[str]], numbered: Numbered) -> list[str | None]:
    """Numbers of those whose consent stands, portion by portion, in one transaction."""
    plain = _revealed(values)
    numbers: list[str | None] = []
    with store.transaction():
        for portion in _portions(plain):
            gone = withdrawn(store, domain, portion)
            standing = iter(numbered(store, domain, [value for value, is_gone in zip(portion, gone, strict=True) if not is_gone]))
            numbers += [None if is_gone else next(standing) for is_gone in gone]
    return numbers


def _slide_numbers(store: Store, domain: Domain, names: Sequence[str]) -> list[str]:
    numbers = _by_name(store, names)
    others = [name for name in names if name not in numbers]
    numbers.update(zip(others, _numbers(store, domain, [barcode_in(name) for name in others]), strict=True))
    return [numbers[name] for name in names]


def _numbers(store: Store, domain: Domain, values: Sequence[str]) -> list[str]:
    lookups = store.lookups(domain, values)
    known = store.known(domain, set(lookups))
    fresh: dict[bytes, str] = {}
    for lookup, value in zip(lookups, values, strict=True):
        if lookup not in known:
            fresh.setdefault(lookup, value)
    known.update(store.link(domain, fresh))
    return [known[lookup] for lookup in lookups]


def _by_name(store: Store, names: Sequence[str]) -> dict[str, str]:
    """Numbers of slides by exact original name; of several that had the same name, the smallest number."""
    lookups = dict(zip(store.seal.keyed_hashes("name", map(as_bytes, names)), names, strict=True))
    question = "SELECT lookup, min(number) FROM asked CROSS JOIN original_names ON lookup = value GROUP BY lookup"
    return {lookups[lookup]: number for lookup, number in store.matching(question, lookups)}


def _opened(store: Store, domain: str, sealed: bytes) -> Concealed[str]:
    return Concealed(as_text(store.seal.open(domain, sealed)))


def _draw_offset() -> int:
    """Uniform over all shifts but none."""
    days = secrets.randbelow(2 * LONGEST_OFFSET) - LONGEST_OFFSET
    return days if days < 0 else days + 1


def _refuse_strangers(store: Store, numbers: set[str]) -> None:
    question = "SELECT count(*) FROM asked CROSS JOIN links ON number = value AND +domain = 'patient'"  # the plus: by number, not by domain
    ((patients,),) = store.matching_numbers(question, numbers)
    if patients != len(numbers):
        raise Permanent("unknown-patient", f"{len(numbers) - patients} of {len(numbers)} numbers are no patient's")
