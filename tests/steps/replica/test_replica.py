"""A replica holds what the bucket held, verified, and says how far it is behind."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from blake3 import blake3

from engine.fakes import ManualClock
from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.replica_states import JsonReplicaStates
from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.messages import events as fact
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.slide import SlideFacts
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.steps.replica.mirroring import Mirror
from slidekeeper.steps.replica.service import Replica
from writers.events import BATCH, RECORDS, event_of, pack_id, records_facts, slide_facts

UNTIL_STORED = (fact.PackArrived, fact.PackSettled, fact.SlideAnonymized, fact.SlideStored)


@dataclass
class CopiedVersions:
    """Notes which versions were copied."""

    copied: list[tuple[str, int]] = field(default_factory=list)
    damaged: bool = False

    def copy(self, project: str, number: int) -> None:
        if self.damaged:
            raise Permanent("version-damaged", "a blob is missing")
        self.copied.append((project, number))


@dataclass
class TwoBuckets:
    """A journal, the bucket it speaks of, and a replica."""

    folder: Path
    journal: SqliteJournal
    versions: CopiedVersions = field(default_factory=CopiedVersions)
    withdrawn: Withdrawn = field(default_factory=Withdrawn)

    @property
    def first(self) -> Path:
        return self.folder / "bucket"

    @property
    def second(self) -> Path:
        return self.folder / "replica"

    @property
    def states(self) -> JsonReplicaStates:
        return JsonReplicaStates(self.folder / "replica-0.json")

    def replica(self) -> Replica:
        """The service as after a start."""
        mirror = Mirror(PosixBucket(self.first), PosixBucket(self.second))
        return Replica("0", self.journal, mirror, self.versions, self.states, self.withdrawn, asyncio.Event().wait)

    def put(self, key: str, **files: bytes) -> None:
        """Lay a folder down in the bucket."""
        (self.first / key).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (self.first / key / name.replace("__", ".")).write_bytes(data)

    async def store_slide(self, number: int, image: bytes = b"pixels" * 1000) -> SlideFacts:
        """A slide in the bucket, with the events that say so."""
        pack = pack_id(number)
        facts = slide_facts(pack, number=SlideNumber(f"{100_000_000_000 + number}"))
        facts = facts.model_copy(update={"digest": f"blake3:{blake3(image).hexdigest()}", "size": len(image)})
        self.put(facts.key, slide__json=facts.model_dump_json().encode(), thumbnail__jpg=b"thumbnail")
        (self.first / facts.key / facts.file_name).write_bytes(image)
        await self.journal.commit_all([event_of(kind, pack, facts=facts) for kind in UNTIL_STORED])
        return facts

    def contents(self, root: Path) -> dict[str, bytes]:
        """Every file below a root that readers see."""
        files = [path for path in root.rglob("*") if path.is_file() and ".aside" not in path.parts]
        return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[TwoBuckets]:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", ManualClock(1000), outbox=False)
    site = TwoBuckets(tmp_path, journal)
    site.first.mkdir()
    site.second.mkdir()
    yield site
    await journal.close()


async def test_slides_are_copied_byte_for_byte(site: TwoBuckets) -> None:
    for number in range(3):
        await site.store_slide(number, bytes([number]) * 3000)
    await site.replica().catch_up()
    assert site.contents(site.second) == site.contents(site.first)


async def test_records_and_their_newest_alignment_are_copied(site: TwoBuckets) -> None:
    site.put(f"records/{BATCH}/r1", imagery__parquet=b"rows", records__json=b"{}")
    site.put(f"records/{BATCH}/r1-a1", alignment__parquet=b"ties", alignment__json=b"{}")
    kinds = (fact.RecordsArrived, fact.RecordsSettled, fact.RecordsLoaded, fact.RecordsAligned)
    await site.journal.commit_all([event_of(kind) for kind in kinds])
    await site.replica().catch_up()
    assert site.contents(site.second) == site.contents(site.first)


async def test_what_a_withdrawal_rewrote_and_removed_is_rewritten_and_removed_in_the_replica(site: TwoBuckets) -> None:
    facts = await site.store_slide(1)
    site.put(f"records/{BATCH}/r1", imagery__parquet=b"rows of two patients")
    site.put(f"records/{BATCH}/r1-a1", alignment__parquet=b"ties of both")
    kinds = (fact.RecordsArrived, fact.RecordsSettled, fact.RecordsLoaded, fact.RecordsAligned)
    await site.journal.commit_all([event_of(kind) for kind in kinds])
    replica = site.replica()
    await replica.catch_up()
    shutil.rmtree(site.first / facts.key)
    shutil.rmtree(site.first / f"records/{BATCH}/r1-a1")
    site.put(f"records/{BATCH}/r1", imagery__parquet=b"rows of one")
    withdrawn = fact.RecordsWithdrawn(records=RECORDS, facts=records_facts(), alignment=2)
    removed = fact.SlidesRemoved(withdrawal="0123456789ab", slides=(facts.number,), revisions=1, rows=1)
    await site.journal.commit_all([withdrawn, removed])
    await replica.catch_up()
    assert site.contents(site.second) == {f"records/{BATCH}/r1/imagery.parquet": b"rows of one"}


async def test_a_slide_that_is_withdrawn_never_reaches_a_replica_that_comes_later(site: TwoBuckets) -> None:
    facts = await site.store_slide(1)
    site.withdrawn.add([facts.number])
    await site.replica().catch_up()
    assert site.contents(site.second) == {}


async def test_versions_are_copied(site: TwoBuckets) -> None:
    await site.journal.commit_all([event_of(fact.RunFinished), event_of(fact.RunProtected)])
    await site.replica().catch_up()
    assert site.versions.copied == [("gleason", 3)]


async def test_a_restart_copies_only_what_is_new(site: TwoBuckets) -> None:
    await site.store_slide(1)
    await site.replica().catch_up()
    shutil.rmtree(site.second / "slides")
    await site.store_slide(2)
    replica = site.replica()
    replica._state = site.states.load()
    await replica.catch_up()
    assert len(list(site.second.rglob("slide.json"))) == 1


async def test_a_lost_position_costs_a_look_at_what_is_there_and_nothing_else(site: TwoBuckets) -> None:
    await site.store_slide(1)
    await site.replica().catch_up()
    before = {path: path.stat().st_mtime_ns for path in site.second.rglob("slide.json")}
    (site.folder / "replica-0.json").write_text("half a fi")
    await site.replica().catch_up()
    assert {path: path.stat().st_mtime_ns for path in site.second.rglob("slide.json")} == before


async def test_the_status_tells_how_far_it_is_behind(site: TwoBuckets) -> None:
    await site.store_slide(1)
    replica = site.replica()
    before = await replica.status()
    assert (before["behind"], before["oldest"][:4]) == (1, "1970")
    await replica.catch_up()
    assert await replica.status() == {"replica": "0", "behind": 0, "oldest": "", "trouble": "", "problems": {}}


async def test_a_damaged_original_is_told_and_does_not_spread_nor_hold_up_the_others(site: TwoBuckets) -> None:
    damaged, sound = await site.store_slide(1), await site.store_slide(2)
    (site.first / damaged.key / damaged.file_name).write_bytes(b"flipped" * 1000)
    replica = site.replica()
    await replica.catch_up()
    assert (await replica.status())["problems"] == {pack_id(1): "original-damaged"}
    assert [path.parent.name for path in site.second.rglob("r1")] == [sound.number]
    assert not list((site.second / ".aside").iterdir())


async def test_a_replica_that_is_away_waits_and_goes_on(site: TwoBuckets) -> None:
    await site.store_slide(1)
    site.second.rename(site.folder / "away")
    replica = site.replica()
    with pytest.raises(Unavailable):
        await replica.catch_up()
    (site.folder / "away").rename(site.second)
    await replica.catch_up()
    assert site.contents(site.second) == site.contents(site.first)


async def test_a_copy_that_was_interrupted_is_made_afresh(site: TwoBuckets) -> None:
    facts = await site.store_slide(1)
    aside = site.second / ".aside" / f"mirror-{facts.key.replace('/', '-')}"
    aside.mkdir(parents=True)
    (aside / "rubbish").write_bytes(b"half")
    await site.replica().catch_up()
    assert site.contents(site.second) == site.contents(site.first)
