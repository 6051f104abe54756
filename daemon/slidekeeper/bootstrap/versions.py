"""Opens the version store for who reads it, and wires what looks after it in the daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.adapters.snapshots.upkeep import PosixUpkeep
from slidekeeper.bootstrap.places import Layout
from slidekeeper.errors import Refused
from slidekeeper.messages.events import Event
from slidekeeper.ports.desk import Answer
from slidekeeper.ports.journal import Journal
from slidekeeper.settings.loader import Settings
from slidekeeper.steps.versions.retiring import Judged, Retirement
from slidekeeper.steps.versions.scrub import Scrub

SCRUB_PLACE = "scrub.json"
"""Where the scrub is, in the state folder."""


def open_versions(settings: Settings) -> PosixVersions:
    """The site's version store, to be read; needs neither daemon nor state."""
    return PosixVersions(settings.bucket.path, settings.bucket.mount)


def open_replicas(settings: Settings) -> Sequence[PosixVersions]:
    """Replicas that are there now."""
    return [PosixVersions(replica) for replica in settings.protection.replicas if replica.is_dir()]


def open_upkeep(settings: Settings) -> PosixUpkeep:
    """What mends and shrinks the store."""
    protection, bucket = settings.protection, settings.bucket
    return PosixUpkeep(bucket.path, protection.replicas, mount=bucket.mount, immutable=protection.immutable)


@dataclass(frozen=True, slots=True)
class VersionOrders:
    """Implements :class:`slidekeeper.ports.desk.VersionOrders`."""

    retirement: Retirement

    async def hold(self, version: str, until: date, by: str) -> Answer:
        """Hold a version until a day."""
        held = await self.retirement.hold(version, until, by)
        return {"version": held.subject, "until": held.until.isoformat()}

    async def free(self, version: str, by: str) -> Answer:
        """Lift a hold."""
        return {"version": (await self.retirement.free(version, by)).subject}

    async def retention(self) -> Sequence[Answer]:
        """What the policy says of every version."""
        return [judged_answer(judged) for judged in await self.retirement.judge()]

    async def apply_retention(self) -> Sequence[Answer]:
        """Mark what no rule keeps."""
        return [judged_answer(judged) for judged in await self.retirement.apply()]


@dataclass(frozen=True, slots=True)
class VersionServices:
    """What looks after the version store in the daemon."""

    scrub: Scrub
    retirement: Retirement

    @property
    def orders(self) -> VersionOrders:
        """For the front desk."""
        return VersionOrders(self.retirement)

    @property
    def tasks(self) -> Sequence[tuple[str, Coroutine[Any, Any, None]]]:
        """Names and coroutines of what runs in the background."""
        return [("scrub", self.scrub.run()), ("retention", self.retirement.run())]


def version_services(settings: Settings, journal: Journal, report: Callable[[Event], Awaitable[object]]) -> VersionServices:
    """Scrub and retention; ``report`` takes their events (the engine's ``submit``)."""
    store, upkeep, clock = open_versions(settings), open_upkeep(settings), SystemClock()
    scrub = Scrub(store, upkeep, settings.protection, _scrub_place(settings), report, clock)
    return VersionServices(scrub, Retirement(store, upkeep, settings.retention, journal, report, clock))


async def offline_retention(settings: Settings) -> Sequence[Answer]:
    """What the policy says of every version, while no daemon runs."""
    journal = SqliteJournal.open_read_only(Layout(settings).journal)
    try:
        return await version_services(settings, journal, _refuse).orders.retention()
    finally:
        await journal.close()


def judged_answer(judged: Judged) -> Answer:
    """The JSON form of a verdict."""
    held, after = judged.standing.held_until, judged.standing.remove_after
    return {
        "version": f"{judged.version.project}@v{judged.version.version}",
        "created": judged.created.isoformat(),
        "size": judged.size,
        "keep": judged.verdict.keep,
        "reasons": list(judged.verdict.reasons),
        "held_until": held.isoformat() if held else None,
        "remove_after": after.isoformat() if after else None,
    }


def _scrub_place(settings: Settings) -> Path:
    return settings.site.state / SCRUB_PLACE


async def _refuse(_event: Event) -> object:
    raise Refused("daemon-not-running", "this needs the daemon", "Start it: `systemctl start slidekeeper` or `slidekeeper run`")
