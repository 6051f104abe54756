"""How records refer to slides, cases and patients: many identifiers at once, to their numbers and back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from typing import TypeVar

from slidekeeper.adapters.linking.sealing import as_bytes, as_text
from slidekeeper.adapters.linking.store import Store
from slidekeeper.adapters.linking.withdrawal import refuse_withdrawn
from slidekeeper.errors import Permanent
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.naming import barcode_in
from slidekeeper.ports.linking import LONGEST_OFFSET, Revealed

PORTION = 5_000
"""Values handled at once: what is sorted or hashed in one go holds up the event loop meanwhile."""

T = TypeVar("T")


def refer(store: Store, domain: Domain, values: Sequence[Concealed[str]]) -> list[str]:
    """Numbers of values, drawn for those that have none."""
    plain = _revealed(values)
    with store.transaction():
        refuse_withdrawn(store, domain, plain)
        return _numbers(store, domain, plain)


def refer_slides(store: Store, names: Sequence[Concealed[str]]) -> list[SlideNumber]:
    """Numbers of the slides with these original file names: known by the name, else by the barcode that the name tells."""
    plain = _revealed(names)
    with store.transaction():
        refuse_withdrawn(store, Domain.SLIDE, plain)
        numbers = _by_name(store, plain)
        others = list(dict.fromkeys(name for name in plain if name not in numbers))
        numbers.update(zip(others, _numbers(store, Domain.SLIDE, [barcode_in(name) for name in others]), strict=True))
        return [SlideNumber(numbers[name]) for name in plain]


def find(store: Store, domain: Domain, values: Sequence[Concealed[str]]) -> list[str | None]:
    """Numbers of values as far as they have one; a slide is known by its barcode, else by an original file name."""
    numbers: list[str | None] = []
    for portion in _portions(values):
        plain = [value.reveal() for value in portion]
        lookups = [store.lookup(domain, value) for value in plain]
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
        for number, other in store.matching(question, dict.fromkeys(portion)):
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
        for number, sealed in store.matching("SELECT number, sealed FROM asked CROSS JOIN original_names ON number = value", wanted):
            names.setdefault(number, []).append(_opened(store, "name", sealed))
        question = "SELECT number, domain, sealed FROM asked CROSS JOIN links ON number = value"
        for number, domain, sealed in store.matching(question, wanted):
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
    known = {number: int(store.seal.open(f"offset {number}", sealed)) for number, sealed in store.matching(question, numbers)}
    drawn = {number: _draw_offset() for number in sorted(numbers - known.keys())}
    version = store.seal.ring.version
    rows = ((number, store.seal.seal(f"offset {number}", str(days).encode()), version) for number, days in drawn.items())
    store.connection.executemany("INSERT INTO offsets VALUES (?, ?, ?)", rows)
    return known | drawn


def _numbers(store: Store, domain: Domain, values: Sequence[str]) -> list[str]:
    lookups = [store.lookup(domain, value) for value in values]
    known = store.known(domain, dict.fromkeys(lookups))
    fresh: dict[bytes, str] = {}
    for lookup, value in zip(lookups, values, strict=True):
        if lookup not in known:
            fresh.setdefault(lookup, value)
    known.update(store.link(domain, fresh))
    return [known[lookup] for lookup in lookups]


def _by_name(store: Store, names: Sequence[str]) -> dict[str, str]:
    """Numbers of slides by exact original name; of several that had the same name, the smallest number."""
    lookups = {store.seal.keyed_hash("name", as_bytes(name)): name for name in names}
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
    ((patients,),) = store.matching(question, numbers)
    if patients != len(numbers):
        raise Permanent("unknown-patient", f"{len(numbers) - patients} of {len(numbers)} numbers are no patient's")
