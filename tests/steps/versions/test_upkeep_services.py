"""Damage is found, reported and healed; retention marks, waits, removes what it said, and nothing that is held or shared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.adapters.snapshots.upkeep import PosixUpkeep
from slidekeeper.errors import Refused
from slidekeeper.messages.events import Event, VersionDamaged, VersionExpired, VersionHealed, VersionRemoved
from slidekeeper.ports.journal import Recorded
from slidekeeper.settings.training import ProtectionSettings, RetentionSettings
from slidekeeper.steps.versions.retiring import Retirement
from slidekeeper.steps.versions.scrub import Scrub
from slidekeeper.steps.versions.standing import VersionId
from slidekeeper.steps.versions.verification import all_versions, verify_versions
from writers.versions import VersionWriter

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    """Stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


class Events:
    """A journal that holds what was reported, and nothing else."""

    def __init__(self) -> None:
        self.told: list[Event] = []

    async def report(self, event: Event) -> None:
        self.told.append(event)

    async def events(self, after: int, limit: int, types: Sequence[str] = ()) -> Sequence[Recorded]:
        numbered = enumerate(self.told, 1)
        return [Recorded(seq, str(seq), NOW, event) for seq, event in numbered if seq > after and event.type in types][:limit]


class Site:
    """Three versions of one project: all share one large file, each has one of its own."""

    def __init__(self, folder: Path) -> None:
        self.writer = VersionWriter(folder / "bucket")
        run = folder / "run"
        run.mkdir()
        (run / "shared").write_bytes(os.urandom(100_000))
        for number in (1, 2, 3):
            (run / "own").write_bytes(os.urandom(80_000))
            self.writer.write("liver", run, created=NOW - timedelta(days=300 - 100 * number))
        for path in self.writer.root.rglob("*"):
            if path.is_file():
                os.utime(path, (0, 0))
        shutil.copytree(self.writer.bucket, folder / "replica")
        self.store = PosixVersions(self.writer.bucket)
        self.upkeep = PosixUpkeep(self.writer.bucket, [folder / "replica"], immutable=False)
        self.journal, self.clock, self.place = Events(), Clock(), folder / "scrub.json"

    def scrub(self) -> Scrub:
        settings = ProtectionSettings(scrub_megabytes_per_second=1000)
        return Scrub(self.store, self.upkeep, settings, self.place, self.journal.report, self.clock)  # type: ignore[arg-type]

    def retirement(self, **rules: float) -> Retirement:
        settings = RetentionSettings(**rules)
        return Retirement(self.store, self.upkeep, settings, self.journal, self.journal.report, self.clock)  # type: ignore[arg-type]

    def blob(self, version: int, name: bytes) -> Path:
        tree = self.store.document("liver", version).tree
        [digest] = [listed.entry.sha256 for listed in self.store.walk(tree) if listed.path == name]  # type: ignore[union-attr]
        return self.writer.root / "blobs" / digest[:2] / digest

    def verify(self) -> tuple[int, dict[str, int]]:
        found = verify_versions(self.store, all_versions(self.store), lambda key: self.upkeep.check(key, lambda _: None))
        return len(found.damages), {f"v{version.version}": count for version, count in found.affected.items()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damage_is_told_for_each_version_that_suffers(site: Site) -> None:
    assert site.verify() == (0, {})
    flip(site.blob(1, b"shared"))
    flip(site.blob(3, b"own"))
    assert site.verify() == (2, {"v1": 1, "v2": 1, "v3": 2})


def test_damaged_trees_and_documents_are_told_too(site: Site) -> None:
    tree = site.store.document("liver", 1).tree
    flip(site.writer.root / "trees" / tree[:2] / f"{tree}.json")
    flip(site.writer.root / "versions" / "liver" / "2.json")
    assert site.verify() == (2, {"v1": 1, "v2": 1})


async def test_scrub_finds_reports_and_heals(site: Site) -> None:
    flip(site.blob(1, b"shared"))
    site.blob(2, b"own").unlink()
    await site.scrub().round()
    assert [event.subject for event in site.journal.told if isinstance(event, VersionDamaged)] == [
        "liver@v1",
        "liver@v2",
        "liver@v3",
        "liver@v2",
    ]
    assert sum(isinstance(event, VersionHealed) for event in site.journal.told) == 4
    assert site.verify() == (0, {})


async def test_scrub_without_a_sound_replica_only_reports(site: Site, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "replica")
    flip(site.blob(1, b"own"))
    await site.scrub().round()
    assert [event.type for event in site.journal.told] == ["version.damaged"]


async def test_scrub_goes_on_where_it_was(site: Site) -> None:
    every = [stored.key for stored in site.upkeep.objects()]
    flip(site.writer.root / every[0])
    site.place.write_text(f'{{"begun": "{NOW.isoformat()}", "after": "{every[0]}", "done": false}}')
    await site.scrub().round()
    assert site.journal.told == []
    await site.scrub().round()
    assert len(site.journal.told) >= 2


async def test_by_default_nothing_is_ever_marked(site: Site) -> None:
    judged = await site.retirement().apply()
    assert all(one.verdict.keep for one in judged)
    assert site.journal.told == []


async def test_marked_versions_go_after_the_grace_period_and_shared_content_stays(site: Site) -> None:
    retirement, own = site.retirement(last=1, grace_days=30), site.blob(1, b"own")
    await retirement.apply()
    await retirement.apply()
    assert [event.subject for event in site.journal.told if isinstance(event, VersionExpired)] == ["liver@v1", "liver@v2"]
    assert await retirement.remove_due() == 0
    site.clock.time += timedelta(days=31)
    assert await retirement.remove_due() == 2
    assert site.store.numbers("liver") == [3]
    assert not own.exists()
    assert site.verify() == (0, {})
    removed = [event for event in site.journal.told if isinstance(event, VersionRemoved)]
    assert [event.subject for event in removed] == ["liver@v1", "liver@v2"]
    assert all(event.size > 80_000 for event in removed)


async def test_a_hold_takes_the_mark_away(site: Site) -> None:
    retirement = site.retirement(last=1, grace_days=1)
    await retirement.apply()
    await retirement.hold("liver@v1", date(2026, 12, 31), "ada")
    site.clock.time += timedelta(days=10)
    await retirement.remove_due()
    assert site.store.numbers("liver") == [1, 3]
    await retirement.free("liver@v1", "ada")
    assert await retirement.remove_due() == 0
    with pytest.raises(Refused, match="not-held"):
        await retirement.free("liver@v1", "ada")


async def test_a_policy_that_changed_its_mind_removes_nothing(site: Site) -> None:
    await site.retirement(last=1, grace_days=1).apply()
    site.clock.time += timedelta(days=10)
    assert await site.retirement(last=3, grace_days=1).remove_due() == 0
    assert site.store.numbers("liver") == [1, 2, 3]


async def test_young_objects_and_those_of_damaged_versions_are_not_collected(site: Site) -> None:
    stray = site.writer.root / "blobs" / "aa" / ("aa" + "0" * 62)
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("about to be needed")
    os.utime(stray, (0, (NOW + timedelta(days=9)).timestamp()))
    retirement = site.retirement(last=1, grace_days=1)
    await retirement.apply()
    site.clock.time += timedelta(days=10)
    await retirement.remove_due()
    assert stray.exists()


async def test_a_removal_that_was_cut_off_is_told_later(site: Site) -> None:
    retirement = site.retirement(last=1, grace_days=1)
    await retirement.apply()
    site.upkeep.remove("versions/liver/1.json")
    await retirement.remove_due()
    assert [event.subject for event in site.journal.told if isinstance(event, VersionRemoved)] == ["liver@v1"]


async def test_holds_are_for_versions_that_exist_and_days_to_come(site: Site) -> None:
    with pytest.raises(Refused, match="unknown-version"):
        await site.retirement().hold("liver@v9", date(2027, 1, 1), "ada")
    with pytest.raises(Refused, match="past-date"):
        await site.retirement().hold("liver@v1", date(2020, 1, 1), "ada")
    assert VersionId("liver", 1) in all_versions(site.store)
