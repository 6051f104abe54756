"""A site that lost its state gets journal and catalog back from the bucket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from blake3 import blake3

from engine.fakes import ManualClock
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.bootstrap.initialize import initialize_site
from slidekeeper.bootstrap.places import Layout
from slidekeeper.bootstrap.rebuilding import Rebuilt, bring_back, rebuild
from slidekeeper.errors import Permanent, Refused
from slidekeeper.messages import events as fact
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.slide import SlideFacts
from slidekeeper.model.version import RunOfVersion, VersionDocument
from slidekeeper.settings.loader import Settings, load_settings
from slidekeeper.workflow.states import BatchState, RecordsState, RunState
from writers.events import BATCH, RECORDS, RUN, alignment_facts, event_of, pack_id, records_facts, slide_facts

UNTIL_DONE = (fact.PackArrived, fact.PackSettled, fact.SlideAnonymized, fact.SlideStored, fact.SlideCatalogued, fact.PackReleased)
TIMES = {"stored", "arrived", "updated", "opened", "aligned"}
VIEWS = ("slides", "revisions", "packs", "batches", "records")


@dataclass
class KeptVersions:
    """Documents of versions, by number."""

    kept: dict[int, VersionDocument] = field(default_factory=dict)

    def projects(self) -> Sequence[str]:
        return ["gleason"] if self.kept else []

    def numbers(self, project: str) -> Sequence[int]:
        return sorted(self.kept)

    def document(self, project: str, number: int) -> VersionDocument:
        return self.kept[number]


def version(number: int) -> VersionDocument:
    counted = {"files": 4, "size": 4_000_000, "added": 1_000_000, "missing": 1}
    run = RunOfVersion(run=RUN, name="2026-11-24-a", folder="/runs/gleason/2026-11-24-a")
    told: dict[str, Any] = {"status": "succeeded", "message": "converged", "by": "marker", "policy": "default", "slidekeeper": "0.3.0"}
    created = datetime(2026, 11, 24, tzinfo=UTC)
    return VersionDocument(project="gleason", version=number, created=created, tree=f"{number:064x}", run=run, **told, **counted)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    initialize_site(tmp_path / "site")
    return load_settings(tmp_path / "site" / "slidekeeper.toml", environ={})


def put(settings: Settings, key: str, name: str, text: str) -> None:
    folder = settings.bucket.path / key
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


async def live_through(settings: Settings) -> None:
    """Three slides, one with a second revision; records with two alignments and a correction; a bucket that holds all of it."""
    journal = SqliteJournal.open(Layout(settings).journal, ManualClock(1000), outbox=False)
    await journal.commit(event_of(fact.BatchOpened))
    for number, revision in ((1, 1), (2, 1), (2, 2), (3, 1)):
        pack = pack_id(10 * number + revision)
        facts = slide_facts(pack, number=SlideNumber(f"{100_000_000_000 + number}"), revision=revision)
        put(settings, facts.key, "slide.json", facts.model_dump_json())
        chosen = {"facts": facts, "number": facts.number, "revision": revision}
        await journal.commit_all([event_of(kind, pack, **chosen) for kind in UNTIL_DONE])
    await journal.commit(event_of(fact.BatchClosed))
    await journal.commit_all(
        [
            event_of(fact.RecordsArrived),
            event_of(fact.RecordsSettled),
            event_of(fact.RecordsLoaded),
            event_of(fact.RecordsAligned),
            event_of(fact.RecordsOutdated),
            event_of(fact.RecordsAligned, facts=alignment_facts(alignment=2)),
            event_of(fact.RecordsArrived, revision=2),
            event_of(fact.RecordsSettled, revision=2),
            event_of(fact.RecordsLoaded, facts=records_facts(revision=2)),
            event_of(fact.RecordsAligned, facts=alignment_facts(revision=2)),
        ]
    )
    for revision, alignments in ((1, 2), (2, 1)):
        put(settings, f"records/{BATCH}/r{revision}", "records.json", records_facts(revision=revision).model_dump_json())
        for alignment in range(1, alignments + 1):
            aligned = alignment_facts(revision=revision, alignment=alignment)
            put(settings, f"records/{BATCH}/r{revision}-a{alignment}", "alignment.json", aligned.model_dump_json())
    await journal.close()


async def catalogue(settings: Settings, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Every view of a catalog made from the site's journal, without the times, which a bucket does not keep."""
    journal = SqliteJournal.open_read_only(Layout(settings).journal)
    folder.mkdir()
    catalog = DuckdbCatalog.open(folder / "catalog.duckdb", memory_megabytes=100, threads=1)
    await catalog.project(await journal.events(0, 1000), await journal.head())
    await catalog.close()
    await journal.close()
    with duckdb.connect(str(folder / "catalog.duckdb"), read_only=True) as connection:
        return {view: _rows(connection, view) for view in VIEWS}


def _rows(connection: duckdb.DuckDBPyConnection, view: str) -> list[dict[str, Any]]:
    found = connection.execute(f"SELECT * FROM {view} ORDER BY ALL")
    names = [column[0] for column in found.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return [{name: value for name, value in row.items() if name not in TIMES} for row in rows]


async def test_the_catalog_comes_back_from_the_bucket_alone(settings: Settings, tmp_path: Path) -> None:
    await live_through(settings)
    before = await catalogue(settings, tmp_path / "before")
    Layout(settings).journal.unlink()
    rebuilt = await rebuild(settings, KeptVersions())
    assert rebuilt == Rebuilt(slides=4, records=1, versions=0, batches={BATCH: None})
    assert await catalogue(settings, tmp_path / "after") == before


async def test_the_rebuilt_journal_knows_batches_records_and_runs(settings: Settings) -> None:
    await live_through(settings)
    Layout(settings).journal.unlink()
    await rebuild(settings, KeptVersions({1: version(1), 2: version(2)}))
    journal = SqliteJournal.open_read_only(Layout(settings).journal)
    batch, records, run = await journal.batch(BATCH), await journal.records_row(RECORDS), await journal.run(RUN)
    await journal.close()
    assert batch is not None and records is not None and run is not None and run.facts is not None
    assert (batch.state, records.state, records.revision) == (BatchState.COMPLETED, RecordsState.ALIGNED, 2)
    assert (run.state, run.facts.version, run.place.root) == (RunState.PROTECTED, 2, "")


async def test_a_site_that_has_its_journal_is_left_alone(settings: Settings) -> None:
    await live_through(settings)
    before = Layout(settings).journal.read_bytes()
    with pytest.raises(Refused, match="journal-exists"):
        await rebuild(settings, KeptVersions())
    assert Layout(settings).journal.read_bytes() == before


async def test_damaged_facts_are_named_and_no_half_journal_appears(settings: Settings) -> None:
    await live_through(settings)
    Layout(settings).journal.unlink()
    put(settings, "slides/100/100000000001/r1", "slide.json", "{}")
    with pytest.raises(Permanent, match=r"slides/100/100000000001/r1/slide\.json"):
        await rebuild(settings, KeptVersions())
    assert not Layout(settings).journal.exists()
    put(
        settings, "slides/100/100000000001/r1", "slide.json", slide_facts(pack_id(11), number=SlideNumber("100000000001")).model_dump_json()
    )
    assert (await rebuild(settings, KeptVersions())).slides == 4


async def test_an_older_revision_whose_alignments_a_withdrawal_removed_is_left_out(settings: Settings) -> None:
    await live_through(settings)
    Layout(settings).journal.unlink()
    for alignment in (1, 2):
        folder = settings.bucket.path / f"records/{BATCH}/r1-a{alignment}"
        (folder / "alignment.json").unlink()
        folder.rmdir()
    await rebuild(settings, KeptVersions())
    journal = SqliteJournal.open_read_only(Layout(settings).journal)
    arrived = [recorded.event for recorded in await journal.events(0, 100, ("records.arrived",))]
    await journal.close()
    assert [event.revision for event in arrived if isinstance(event, fact.RecordsArrived)] == [2]


async def test_a_lost_bucket_comes_back_from_its_replica_and_the_state_from_the_bucket(settings: Settings, tmp_path: Path) -> None:
    await live_through(settings)
    before = await catalogue(settings, tmp_path / "before")
    for folder in sorted(settings.bucket.path.glob("slides/*/*/r*")):
        facts = SlideFacts.model_validate_json((folder / "slide.json").read_bytes())
        image = f"pixels of {facts.number}".encode()
        (folder / facts.file_name).write_bytes(image)
        mended = facts.model_copy(update={"digest": f"blake3:{blake3(image).hexdigest()}"})
        (folder / "slide.json").write_text(mended.model_dump_json())
    held = {path.relative_to(settings.bucket.path): path.read_bytes() for path in settings.bucket.path.rglob("*") if path.is_file()}
    settings.bucket.path.rename(tmp_path / "replica")
    settings.bucket.path.mkdir()
    Layout(settings).journal.unlink()
    bring_back(settings, tmp_path / "replica")
    await rebuild(settings)
    found = {path.relative_to(settings.bucket.path): path.read_bytes() for path in settings.bucket.path.rglob("*") if path.is_file()}
    assert found == held
    after = await catalogue(settings, tmp_path / "after")
    assert [row["number"] for row in after["revisions"]] == [row["number"] for row in before["revisions"]]
    assert after["records"] == before["records"]
