"""Reads and verifies what versions are made of, every object once, and tells which versions suffer from what is damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from slidekeeper.errors import Permanent
from slidekeeper.model.stored import version_key
from slidekeeper.model.version import VersionDocument
from slidekeeper.ports.snapshots import Damage, Versions
from slidekeeper.steps.versions.needs import Needs
from slidekeeper.steps.versions.standing import VersionId

PORTION = 256
"""Objects that are handed to the threads at a time."""

Check = Callable[[str], Damage | None]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found."""

    objects: int
    damages: Sequence[Damage]
    affected: Mapping[VersionId, int]
    """Damaged objects of each version that has some."""


def verify_versions(store: Versions, chosen: Sequence[VersionId], check: Check, threads: int = 4) -> Verified:
    """Verify every object of these versions, each once."""
    documents, damages = _documents(store, chosen)
    needs = Needs(store)
    objects = len(damages)
    with ThreadPoolExecutor(threads, thread_name_prefix="verify") as pool:
        keys = needs.of(documents)
        while portion := list(islice(keys, PORTION)):
            objects += len(portion)
            damages += [damage for damage in pool.map(check, portion) if damage is not None]
    known = {damage.key for damage in damages}
    damages += [Damage(key, "changed") for key in sorted(needs.broken - known)]
    return Verified(objects, damages, affected_by(store, chosen, {damage.key for damage in damages}))


def affected_by(store: Versions, chosen: Sequence[VersionId], damaged: set[str]) -> Mapping[VersionId, int]:
    """How many of the damaged objects each version needs; versions that need none are left out."""
    if not damaged:
        return {}
    counts = {version: sum(key in damaged for key in _needed(store, version)) for version in chosen}
    return {version: count for version, count in counts.items() if count}


def all_versions(store: Versions) -> Sequence[VersionId]:
    """Every version that is stored."""
    return [VersionId(project, number) for project in store.projects() for number in store.numbers(project)]


def _needed(store: Versions, version: VersionId) -> Iterator[str]:
    try:
        document = store.document(version.project, version.version)
    except Permanent:
        yield version_key(version.project, version.version)
        return
    yield from Needs(store).of([document])


def _documents(store: Versions, chosen: Sequence[VersionId]) -> tuple[list[VersionDocument], list[Damage]]:
    """The documents that can be read, and those that cannot."""
    documents, damages = [], []
    for version in chosen:
        try:
            documents.append(store.document(version.project, version.version))
        except Permanent:
            damages.append(Damage(version_key(version.project, version.version), "changed"))
    return documents, damages
