"""A settled pack ends as a new revision, a duplicate or a case for a person, and what lies aside is never left behind in vain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.linking.keys import create_key, load_key
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.adapters.readers.independent import IndependentReader
from slidekeeper.adapters.search.hyperscan_search import HyperscanFactory
from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.messages.commands import AnonymizePack
from slidekeeper.messages.events import PackArrived, PackQuarantined, PackSettled
from slidekeeper.model.contract import Domain
from slidekeeper.model.identity import BatchId, PackId, SlideNumber
from slidekeeper.model.phi import Barcode, Member, PackFiles, RelativePath, Role
from slidekeeper.ports.linking import Claim
from slidekeeper.settings.sections import AnonymizeSettings, DropSettings
from slidekeeper.steps.anonymize.request import Tools
from slidekeeper.steps.anonymize.step import AnonymizeStep
from writers import write_aperio

A, R = TypeVar("A"), TypeVar("R")
FIRST, SECOND, THIRD = (PackId(letter * 16) for letter in "abc")


class InThisProcess:
    """An executor without workers; something may happen just before a job."""

    def __init__(self) -> None:
        self.before: Callable[[], object] = lambda: None

    async def run(self, job: Callable[[A], R], argument: A, timeout_seconds: float) -> R:
        self.before()
        return job(argument)

    async def close(self) -> None:
        """Nothing to close."""


class Bench:
    """The step with its real databases, a drop folder and a bucket."""

    def __init__(self, folder: Path) -> None:
        for name in ("drop", "bucket", "keys"):
            (folder / name).mkdir()
        create_key(folder / "keys" / "key")
        self.root = folder / "drop"
        self.drop = PosixDrop("scanner", self.root)
        self.bucket = PosixBucket(folder / "bucket")
        self.known = SqliteKnownFiles(folder / "intake.sqlite")
        self.linking = SqliteLinking.open(folder / "linking.sqlite", load_key(folder / "keys" / "key", {}))
        self.journal = SqliteJournal.open(folder / "journal.sqlite", SystemClock(), outbox=False)
        self.executor = InThisProcess()

    async def settled(self, pack: PackId, barcode: str, seed: int) -> None:
        """A slide of this content has settled under this barcode."""
        # without a colour profile, which would carry the second in which it was made
        write_aperio(self.root / f"{barcode}.svs", seed=seed, barcode="S26-4711", size=(512, 512), levels=1, icc=False)
        path = RelativePath(f"{barcode}.svs".encode())
        identity = self.drop.identify(path)
        assert identity is not None
        member = Member(path, Role.IMAGE, identity)
        batch = BatchId("b" * 12)
        await self.known.remember([PackFiles(pack, "scanner", batch, RelativePath(barcode.encode()), Barcode(barcode), (member,))])
        await self.journal.commit(PackArrived(pack=pack, drop="scanner", batch=batch))
        await self.journal.commit(PackSettled(pack=pack, files=1, size=identity.size, waited_seconds=1))

    async def anonymize(self, pack: PackId, **settings: Any) -> Any:
        tools = Tools(self.bucket, SupportedFormats(), HyperscanFactory(), IndependentReader(), 128)
        drop_settings = {"scanner": DropSettings(path=self.root, **settings)}
        step = AnonymizeStep(
            {"scanner": self.drop},
            drop_settings,
            self.known,
            self.linking,
            self.journal,
            self.executor,
            tools,
            AnonymizeSettings(thumbnail_pixels=64),
            "1",
        )
        return await step.run(AnonymizePack(pack=pack))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    for store in (bench.journal, bench.linking, bench.known):
        await store.close()


async def test_a_new_slide_lies_aside_under_a_random_number(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    event = await bench.anonymize(FIRST)
    assert (event.type, event.facts.revision, event.facts.pack, event.facts.batch) == ("slide.anonymized", 1, FIRST, "b" * 12)
    assert bench.bucket.aside_path(FIRST, event.facts.file_name).stat().st_size == event.facts.size
    assert "S26" not in event.model_dump_json()


async def test_a_step_that_is_repeated_gives_the_same_number_and_revision(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    first, again = await bench.anonymize(FIRST), await bench.anonymize(FIRST)
    assert (first.facts.number, first.facts.revision) == (again.facts.number, again.facts.revision)


async def test_other_content_of_the_same_barcode_is_the_next_revision(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    first = await bench.anonymize(FIRST)
    await bench.settled(SECOND, "S26-1", 2)
    second = await bench.anonymize(SECOND)
    assert (second.facts.number, second.facts.revision) == (first.facts.number, 2)


async def test_other_content_of_the_same_barcode_is_held_where_the_site_wants_it(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    await bench.anonymize(FIRST)
    await bench.settled(SECOND, "S26-1", 2)
    held = await bench.anonymize(SECOND, on_rescan="quarantine")
    assert (held.type, held.reason) == ("pack.quarantined", "rescan")
    assert bench.bucket.asides() == {FIRST}


async def test_the_same_content_under_the_same_barcode_is_a_duplicate(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    first = await bench.anonymize(FIRST)
    await bench.settled(SECOND, "S26-1", 1)
    event = await bench.anonymize(SECOND)
    assert (event.type, event.number, event.revision) == ("pack.duplicated", first.facts.number, 1)
    assert bench.bucket.asides() == {FIRST}


async def test_the_same_content_under_another_barcode_is_held_and_names_no_barcode(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    first = await bench.anonymize(FIRST)
    await bench.settled(SECOND, "S26-2", 1)
    held = await bench.anonymize(SECOND)
    assert (held.type, held.reason) == ("pack.quarantined", "barcode-conflict")
    assert first.facts.number in held.detail
    assert "S26" not in held.detail
    assert bench.bucket.asides() == {FIRST}


async def test_content_of_a_pack_that_was_never_stored_is_taken_over(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    await bench.anonymize(FIRST)
    await bench.journal.commit(PackQuarantined(pack=FIRST, step="store", reason="key-taken"))
    await bench.settled(SECOND, "S26-2", 1)
    event = await bench.anonymize(SECOND)
    assert event.type == "slide.anonymized"
    await bench.settled(THIRD, "S26-2", 1)
    assert (await bench.anonymize(THIRD)).number == event.facts.number


async def test_a_file_that_was_changed_since_it_settled_settles_again(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    (bench.root / "S26-1.svs").write_bytes(b"another slide")
    assert (await bench.anonymize(FIRST)).type == "pack.changed"


async def test_a_file_that_is_gone_has_vanished(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    (bench.root / "S26-1.svs").unlink()
    assert (await bench.anonymize(FIRST)).type == "pack.vanished"


async def test_a_file_of_a_folder_that_is_away_has_not_vanished(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    bench.executor.before = lambda: bench.root.rename(bench.root.with_name("unmounted"))
    with pytest.raises(Unavailable):
        await bench.anonymize(FIRST)


async def test_a_pack_whose_folder_is_away_waits_for_it(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    bench.root.rename(bench.root.with_name("unmounted"))
    with pytest.raises(Unavailable):
        await bench.anonymize(FIRST)


async def test_a_pack_that_the_index_does_not_know_is_held(bench: Bench) -> None:
    with pytest.raises(Permanent, match="unknown-files"):
        await bench.anonymize(FIRST)


async def test_a_slide_whose_consent_is_withdrawn_is_held_before_any_number_is_drawn(bench: Bench) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    event = await bench.anonymize(FIRST)
    await bench.linking.erase([event.facts.number])
    bench.bucket.discard(FIRST)
    await bench.settled(SECOND, "S26-1", 2)
    with pytest.raises(Permanent, match="consent-withdrawn") as refused:
        await bench.anonymize(SECOND)
    assert "S26" not in str(refused.value)
    assert bench.bucket.asides() == set()
    assert await bench.linking.find(Domain.SLIDE, [Barcode("S26-1")]) == [None]


async def test_a_slide_that_is_withdrawn_while_it_is_anonymized_leaves_nothing_aside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.settled(FIRST, "S26-1", 1)
    claim = bench.linking.claim

    async def withdrawn_meanwhile(number: SlideNumber, content: str, pack: PackId) -> Claim:
        await bench.linking.erase([number])
        return await claim(number, content, pack)

    monkeypatch.setattr(bench.linking, "claim", withdrawn_meanwhile)
    with pytest.raises(Permanent, match="consent-withdrawn"):
        await bench.anonymize(FIRST)
    assert bench.bucket.asides() == set()
