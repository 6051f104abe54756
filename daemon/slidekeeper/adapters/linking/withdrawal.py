"""Forgetting whom a number stands for, and knowing them again if they come back.

Nothing of a withdrawn identifier stays but one keyed hash, in a hash domain of its own: it tells that consent is withdrawn, not which
number it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slidekeeper.adapters.linking.sealing import as_bytes, as_text
from slidekeeper.adapters.linking.store import Store
from slidekeeper.errors import Permanent
from slidekeeper.model.contract import Domain
from slidekeeper.model.naming import alias_form, normal_form

TABLES_OF_NUMBERS = ("offsets", "aliases", "original_names", "links")


def erase(store: Store, numbers: Sequence[str]) -> int:
    """Remove every trace of whom the numbers stand for, from the file's bytes too; returns how many were ever drawn.

    Raises:
        Temporary: another process still reads an older state; asked again, it is removed from the bytes.
    """
    asked = sorted(set(numbers))
    with store.transaction():
        hashes = list(_withdrawn_hashes(store, asked))
        store.connection.executemany("INSERT OR IGNORE INTO withdrawn VALUES (?, ?)", hashes)
        for table in TABLES_OF_NUMBERS:
            store.connection.executemany(f"DELETE FROM {table} WHERE number = ?", ((number,) for number in asked))  # noqa: S608
        store.connection.executemany("UPDATE claims SET content = NULL WHERE number = ?", ((number,) for number in asked))
        ((drawn,),) = store.matching_numbers("SELECT count(*) FROM asked CROSS JOIN numbers ON number = value", asked)
    store.scrub()
    return int(drawn)


def withdrawn(store: Store, domain: Domain, values: Sequence[str]) -> list[bool]:
    """Whether consent of these was withdrawn. Slides are compared in their alias form: a barcode, or a file name."""
    if store.connection.execute("SELECT 1 FROM withdrawn WHERE domain = ? LIMIT 1", (domain.value,)).fetchone() is None:
        return [False] * len(values)
    hashes = _hashes(store, domain, values)
    question = "SELECT lookup FROM asked CROSS JOIN withdrawn ON domain = :domain AND lookup = value"
    found = {lookup for (lookup,) in store.matching(question, hashes, domain=domain.value)}
    return [each in found for each in hashes]


def refuse_withdrawn(store: Store, domain: Domain, values: Sequence[str]) -> None:
    """Raise Permanent when one of the values is withdrawn: its number is gone, and no other may take its place."""
    count = sum(withdrawn(store, domain, values))
    if count:
        raise Permanent("consent-withdrawn", f"consent is withdrawn for {count} of {len(values)} {domain.value} identifiers")


def _withdrawn_hashes(store: Store, numbers: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    linked = "SELECT domain, domain, sealed FROM asked CROSS JOIN links ON number = value"
    named = "SELECT 'slide', 'name', sealed FROM asked CROSS JOIN original_names ON number = value"
    for question in (linked, named):
        for domain, sealed_as, sealed in list(store.matching_numbers(question, numbers)):
            value = as_text(store.seal.open(sealed_as, sealed))
            yield from ((domain, lookup) for lookup in _hashes(store, Domain(domain), [value]))


def _hashes(store: Store, domain: Domain, values: Sequence[str]) -> list[bytes]:
    form = alias_form if domain is Domain.SLIDE else normal_form
    return list(store.seal.keyed_hashes(f"withdrawn {domain.value}", (as_bytes(form(value)) for value in values)))
