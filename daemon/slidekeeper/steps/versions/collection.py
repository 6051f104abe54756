"""Removes stored objects that no remaining version needs. Call it only while nothing can be added (:meth:`Upkeep.sweeping`)."""

from __future__ import annotations

from datetime import datetime, timedelta

from slidekeeper.errors import Permanent
from slidekeeper.ports.snapshots import Versions
from slidekeeper.ports.upkeep import Upkeep
from slidekeeper.steps.versions.needs import Needs
from slidekeeper.steps.versions.verification import all_versions

YOUNG = timedelta(days=2)
"""What was placed since may belong to a version that is about to be made, whoever makes it."""
VERSIONS = "versions/"


def collect_garbage(store: Versions, upkeep: Upkeep, now: datetime) -> int:
    """Remove what no version needs and is not young; returns its bytes.

    Raises:
        Permanent: ``version-damaged``: some version cannot be read, so that nobody knows what it needs; nothing was removed.
    """
    documents = [store.document(version.project, version.version) for version in all_versions(store)]
    needs = Needs(store)
    needed = set(needs.of(documents))
    if needs.broken:
        raise Permanent(
            "version-damaged", "a damaged version may need what would be removed", "Heal it first: `slidekeeper versions verify`"
        )
    size = 0
    for stored in upkeep.objects():
        if not stored.key.startswith(VERSIONS) and stored.key not in needed and now - stored.placed > YOUNG:
            upkeep.remove(stored.key)
            size += stored.size
    return size
