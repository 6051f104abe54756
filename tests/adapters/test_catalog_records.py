"""Records are counted in the catalog and published from the bucket; what is withdrawn leaves neither row nor byte."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from adapters.test_catalog import START, record, stored
from slidekeeper.adapters.catalog import publications
from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.errors import Unavailable
from slidekeeper.messages import events as fact
from slidekeeper.model.identity import BatchId, SlideNumber
from slidekeeper.model.records import RecordsFacts, RecordsId
from slidekeeper.steps.alignment.align import align
from slidekeeper.steps.catalog.step import CatalogStep
from writers.events import BATCH, RECORDS, alignment_facts, event_of, records_facts

OTHER, OTHER_BATCH = RecordsId("cccccccccccc"), BatchId("b00000000002")
PROJECT = Path(__file__).parents[2]
NO_ALIASES: Mapping[str, Sequence[str]] = {}


def number(index: int) -> SlideNumber:
    return SlideNumber(f"{100000000000 + index}")


def loaded(facts: RecordsFacts) -> fact.RecordsLoaded:
    return fact.RecordsLoaded(records=facts.records, facts=facts)


def aligned(records: RecordsId = RECORDS, revision: int = 1, alignment: int = 1) -> fact.RecordsAligned:
    return fact.RecordsAligned(records=records, facts=alignment_facts(records, revision=revision, alignment=alignment))


def withdrawn(*slides: SlideNumber) -> fact.ConsentWithdrawn:
    return fact.ConsentWithdrawn(withdrawal="w", slides=slides, others=(), by="broker")


def removed(*slides: SlideNumber) -> fact.SlidesRemoved:
    return fact.SlidesRemoved(withdrawal="w", slides=slides, revisions=1, rows=1)


@dataclass
class Site:
    """A catalog, its bucket, and what a researcher finds published."""

    root: Path
    catalog: DuckdbCatalog
    events: list[fact.Event] = field(default_factory=list)

    async def happen(self, *events: fact.Event) -> None:
        """Let events happen, and publish."""
        await self.catalog.project(record(*events, after=len(self.events)), len(self.events) + len(events))
        self.events.extend(events)
        await self.catalog.publish(self.published)

    @property
    def published(self) -> Path:
        return self.root / "published"

    def read(self, name: str) -> list[dict[str, Any]]:
        return pl.read_parquet(self.published / f"{name}.parquet").rows(named=True)

    def names(self) -> set[str]:
        return {file.stem for file in self.published.iterdir()}

    def put(self, facts: RecordsFacts, rows: Mapping[str, pl.DataFrame], slides: Sequence[str], aliases: Any = NO_ALIASES) -> None:
        """Write a revision's rows into the bucket, and their first alignment."""
        folder = self.root / "bucket" / facts.key
        folder.mkdir(parents=True, exist_ok=True)
        for source, frame in rows.items():
            frame.write_parquet(folder / f"{source}.parquet")
        alignments = folder.with_name(f"{folder.name}-a1")
        alignments.mkdir(exist_ok=True)
        frame = pl.DataFrame({"number": slides, "own": [True] * len(slides)}, schema={"number": pl.String, "own": pl.Boolean})
        align(rows, frame, aliases).rows.write_parquet(alignments / "alignment.parquet")


def table(first: int, last: int, **columns: Any) -> pl.DataFrame:
    """Rows for the slides ``first`` to ``last``; two slides a case, four a patient."""
    indices = range(first, last + 1)
    return pl.DataFrame(
        {
            "row": list(range(2, 2 + len(indices))),
            "slide_number": [number(index) for index in indices],
            "case_number": [f"{200000000000 + index // 2}" for index in indices],
            "patient_number": [f"{300000000000 + index // 4}" for index in indices],
            **{name: [value] * len(indices) for name, value in columns.items()},
        }
    )


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    catalog = DuckdbCatalog.open(tmp_path / "catalog.duckdb", 96, 1, tmp_path / "bucket")
    yield Site(tmp_path, catalog)
    await catalog.close()


async def fill(site: Site) -> None:
    """Four slides in a batch, with rows for all but the last in two sources."""
    facts = of_sources(records_facts(), "imagery", "diagnoses")
    rows = {"imagery": table(0, 2, stain="HE"), "diagnoses": table(0, 2, grade=3)}
    site.put(facts, rows, [number(index) for index in range(4)])
    await site.happen(*(stored(index) for index in range(4)), loaded(facts), aligned())


def of_sources(facts: RecordsFacts, *names: str) -> RecordsFacts:
    return facts.model_copy(update={"sources": tuple(source for source in facts.sources if source.source in names)})


async def test_records_show_where_they_stand(site: Site) -> None:
    arrived, settled = event_of(fact.RecordsArrived), event_of(fact.RecordsSettled)
    await site.catalog.project(record(arrived, settled), 2)
    (found,) = await site.catalog.records()
    assert (found["records"], found["revision"], found["batch"], found["state"], found["counts"]) == (RECORDS, 1, BATCH, "settled", None)
    await site.catalog.project(record(loaded(records_facts()), aligned(), after=2), 4)
    (found,) = await site.catalog.records()
    assert (found["state"], found["row_count"], found["rejected_count"], found["alignment"]) == ("aligned", 15, 6, 1)
    assert found["counts"] == {"matched": 12, "row-without-slide": 3, "slide-without-row": 1}
    assert (found["arrived"], found["updated"]) == tuple(START.replace(second=second, tzinfo=None) for second in (1, 4))


async def test_records_show_every_revision_with_its_sources(site: Site) -> None:
    again = [event_of(fact.RecordsArrived, revision=2), event_of(fact.RecordsQuarantined, reason="leak-found")]
    await site.catalog.project(record(event_of(fact.RecordsArrived), loaded(records_facts()), aligned(), *again), 5)
    first, second = await site.catalog.record(RECORDS)
    assert (first["state"], first["key"], first["sources"][0]["rejected"]) == ("aligned", f"records/{BATCH}/r1", {"not-a-date": 2})
    assert (second["revision"], second["state"], second["reason"], second["sources"]) == (2, "quarantined", "leak-found", None)
    assert await site.catalog.record("nobody") == []


async def test_records_are_paged_by_id(site: Site) -> None:
    await site.catalog.project(record(loaded(records_facts(OTHER)), loaded(records_facts())), 2)
    (first,) = await site.catalog.records(limit=1)
    (second,) = await site.catalog.records(after=first["records"])
    assert (first["records"], second["records"]) == (RECORDS, OTHER)


async def test_rows_are_published_with_their_origin(site: Site) -> None:
    await fill(site)
    first = min(site.read("records_diagnoses"), key=lambda row: row["row"])
    assert first == {
        "records": RECORDS,
        "batch": BATCH,
        "revision": 1,
        "contract": f"sha256:{1:064x}",
        "contract_version": 1,
        "row": 2,
        "slide_number": number(0),
        "case_number": "200000000000",
        "patient_number": "300000000000",
        "grade": 3,
    }
    assert site.names() == {
        *("slides", "revisions", "packs", "batches", "stagings", "runs", "versions", "alignment", "cases", "patients", "cohort"),
        *("records_imagery", "records_diagnoses"),
    }


async def test_slides_cases_and_patients_can_be_joined(site: Site) -> None:
    await fill(site)
    assert site.read("alignment")[0] == {
        "slide_number": number(0),
        "case_number": "200000000000",
        "patient_number": "300000000000",
        "records": RECORDS,
        "batch": BATCH,
        "source": "diagnoses",
        "row": 2,
        "match_method": "exact",
    }
    cases = sorted(site.read("cases"), key=lambda case: case["case_number"])
    assert [(case["case_number"], case["patient_number"], case["slides"]) for case in cases] == [
        ("200000000000", "300000000000", 2),
        ("200000000001", "300000000000", 1),
    ]
    assert site.read("patients") == [{"patient_number": "300000000000", "cases": 2, "slides": 3}]


async def test_a_case_that_is_told_of_two_patients_belongs_to_none(site: Site) -> None:
    facts = of_sources(records_facts(), "imagery")
    rows = table(0, 1).with_columns(patient_number=pl.Series(["300000000000", "300000000001"]))
    site.put(facts, {"imagery": rows}, [number(0), number(1)])
    await site.happen(stored(0), stored(1), loaded(facts), aligned())
    assert site.read("cases") == [{"case_number": "200000000000", "patient_number": None, "slides": 2}]


async def test_rows_that_are_not_tied_to_a_slide_are_in_no_alignment(site: Site) -> None:
    facts = of_sources(records_facts(), "imagery")
    site.put(facts, {"imagery": table(0, 3)}, [number(0)])
    await site.happen(stored(0), loaded(facts), aligned())
    assert [row["slide_number"] for row in site.read("alignment")] == [number(0)]
    assert len(site.read("records_imagery")) == 4


async def test_without_records_the_tables_are_there_and_empty(site: Site) -> None:
    await site.happen(stored(0))
    assert [site.read(name) for name in ("alignment", "cases", "patients", "cohort")] == [[]] * 4
    assert not {name for name in site.names() if name.startswith("records")}


async def test_contracts_that_changed_are_joined_by_name(site: Site) -> None:
    await fill(site)
    newer = of_sources(records_facts(OTHER, batch=OTHER_BATCH), "imagery")
    site.put(newer, {"imagery": table(4, 4, scanner="A").with_columns(stain=pl.lit(7))}, [number(4)])
    await site.happen(stored(4), loaded(newer), aligned(OTHER))
    rows = sorted(site.read("records_imagery"), key=lambda row: row["slide_number"])
    assert [(row["stain"], row["scanner"]) for row in rows] == [("HE", None)] * 3 + [("7", "A")]


async def test_many_batches_are_joined_in_portions(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publications, "FILES_TOGETHER", 2)
    for index in range(5):
        facts = of_sources(records_facts(RecordsId(f"{index:012x}"), batch=BatchId(f"{index:012x}")), "imagery")
        site.put(facts, {"imagery": table(index, index, **{f"of_{index}": index})}, [number(index)])
        await site.happen(stored(index), loaded(facts), aligned(facts.records))
    assert sorted(row["slide_number"] for row in site.read("records_imagery")) == [number(index) for index in range(5)]
    assert {f"of_{index}" for index in range(5)} <= site.read("records_imagery")[0].keys()
    assert len(site.read("alignment")) == 5
    assert not list(site.published.glob(".*"))


async def test_a_new_revision_takes_the_place_of_its_predecessor_once_it_is_loaded(site: Site) -> None:
    await fill(site)
    newer = of_sources(records_facts(revision=2), "imagery")
    site.put(newer, {"imagery": table(0, 0, stain="PSA")}, [number(0)])
    await site.happen(event_of(fact.RecordsArrived, revision=2))
    assert len(site.read("records_imagery")) == 3
    await site.happen(loaded(newer))
    assert [row["stain"] for row in site.read("records_imagery")] == ["PSA"]
    assert "records_diagnoses" not in site.names()
    assert site.read("alignment") == []
    await site.happen(aligned(revision=2))
    assert len(site.read("alignment")) == 1


async def test_only_what_changed_is_written_again(site: Site) -> None:
    await fill(site)
    for file in site.published.iterdir():
        file.write_bytes(b"as it was")
    newer = of_sources(records_facts(OTHER, batch=OTHER_BATCH), "imagery")
    site.put(newer, {"imagery": table(4, 4)}, [number(4)])
    await site.happen(loaded(newer))
    assert {file.stem for file in site.published.iterdir() if file.read_bytes() != b"as it was"} == {"records_imagery"}


async def test_a_bucket_that_is_away_holds_up_nothing_but_records(site: Site) -> None:
    await fill(site)
    (site.root / "bucket").rename(site.root / "elsewhere")
    with pytest.raises(Unavailable, match="records-missing") as trouble:
        await site.happen(stored(5), loaded(of_sources(records_facts(revision=2), "imagery")))
    assert trouble.value.place == "bucket"
    assert len(site.read("slides")) == 5
    assert len(site.read("records_imagery")) == 3


async def test_a_damaged_file_of_records_is_a_trouble_of_the_bucket(site: Site) -> None:
    facts = of_sources(records_facts(), "imagery")
    site.put(facts, {"imagery": table(0, 0)}, [number(0)])
    (site.root / "bucket" / facts.key / "imagery.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(Unavailable, match="records-unreadable"):
        await site.happen(loaded(facts))


async def test_from_the_withdrawal_on_nothing_of_the_slide_is_published(site: Site) -> None:
    await fill(site)
    await site.happen(withdrawn(number(0)))
    assert sorted(row["number"] for row in site.read("slides")) == [number(index) for index in (1, 2, 3)]
    assert sorted(row["slide_number"] for row in site.read("records_imagery")) == [number(1), number(2)]
    assert {row["slide_number"] for row in site.read("alignment")} == {number(1), number(2)}
    assert site.read("patients") == [{"patient_number": "300000000000", "cases": 2, "slides": 2}]
    assert (await site.catalog.slide(number(0)), len(await site.catalog.slides())) == ([], 3)


async def test_rows_that_name_a_withdrawn_slide_otherwise_are_hidden_too(site: Site) -> None:
    facts = of_sources(records_facts(), "imagery", "diagnoses")
    rows = {"imagery": table(0, 1), "diagnoses": table(1, 1)}
    site.put(facts, rows, [number(7), number(1)], {number(0): [number(7)]})
    await site.happen(stored(7), stored(1), loaded(facts), aligned())
    await site.happen(withdrawn(number(7)))
    assert [row["slide_number"] for row in site.read("records_imagery")] == [number(1)]
    assert len(site.read("records_diagnoses")) == 1


async def test_a_slide_that_is_stored_while_it_is_being_withdrawn_stays_hidden(site: Site) -> None:
    await site.happen(stored(1), withdrawn(number(1)))
    await site.happen(stored(1, 2))
    assert site.read("revisions") == []
    await site.happen(removed(number(1)))
    assert (site.read("revisions"), await site.catalog.slides()) == ([], [])


async def test_rows_that_were_taken_out_of_the_bucket_are_published_no_more(site: Site) -> None:
    await fill(site)
    rest = of_sources(records_facts(rows=2), "imagery", "diagnoses")
    site.put(rest, {"imagery": table(1, 2), "diagnoses": table(1, 2)}, [number(index) for index in range(1, 4)])
    new_digest = tuple(source.model_copy(update={"digest": f"blake3:{7:064x}"}) for source in rest.sources)
    facts = rest.model_copy(update={"sources": new_digest})
    await site.happen(fact.RecordsWithdrawn(records=RECORDS, facts=facts, alignment=2), removed(number(0)))
    assert sorted(row["slide_number"] for row in site.read("records_imagery")) == [number(1), number(2)]
    (found,) = await site.catalog.records()
    assert (found["state"], found["row_count"]) == ("aligned", 4)


async def test_compacting_leaves_no_byte_of_what_was_withdrawn(site: Site) -> None:
    await fill(site)
    await site.happen(stored(77))
    digest = (await site.catalog.slide(number(77)))[0]["digest"].encode()
    (site.root / "catalog.duckdb.set-aside").write_bytes(digest)
    await site.happen(withdrawn(number(77)), removed(number(77)))
    await site.catalog.compact()
    found = [
        file.name
        for file in site.root.rglob("*")
        if file.is_file() and any(secret in file.read_bytes() for secret in (digest, b"100000000077"))
    ]
    assert found == []
    assert len(await site.catalog.slides()) == 4
    await site.happen(stored(5))
    assert len(site.read("slides")) == 5


async def test_a_catalog_without_withdrawals_is_not_made_anew(site: Site) -> None:
    await fill(site)
    before = (site.root / "catalog.duckdb").stat().st_ino
    await site.catalog.compact()
    assert (site.root / "catalog.duckdb").stat().st_ino == before


async def test_a_catalog_that_was_closed_before_it_was_compacted_is_compacted_later(tmp_path: Path) -> None:
    path = tmp_path / "catalog.duckdb"
    catalog = DuckdbCatalog.open(path, 96, 1)
    await catalog.project(record(stored(77)), 1)
    await catalog.close()
    catalog = DuckdbCatalog.open(path, 96, 1)
    await catalog.project(record(withdrawn(number(77)), after=1), 2)
    await catalog.close()
    inode = path.stat().st_ino
    catalog = DuckdbCatalog.open(path, 96, 1)
    await catalog.compact()
    await catalog.compact()
    assert (path.stat().st_ino != inode, await catalog.position()) == (True, 2)
    await catalog.close()


async def test_a_catalog_made_again_from_the_journal_holds_no_withdrawn_byte(tmp_path: Path) -> None:
    journal = SqliteJournal.open(tmp_path / "journal.sqlite", SystemClock(), outbox=False)
    await journal.commit_all([event_of(fact.BatchOpened), withdrawn(number(1)), removed(number(1))])
    catalog = DuckdbCatalog.open(tmp_path / "catalog.duckdb", 96, 1)
    await catalog.project(record(stored(1)), 1)
    await CatalogStep(catalog, journal).catch_up(await journal.head())
    await catalog.close()
    assert b"100000000001" not in (tmp_path / "catalog.duckdb").read_bytes()
    await journal.close()


async def test_every_published_column_is_documented_with_its_type(site: Site) -> None:
    await fill(site)
    documented = set()
    for section in re.split(r"^## ", (PROJECT / "docs" / "catalog.md").read_text(), flags=re.MULTILINE)[1:]:
        title, *lines = section.splitlines()
        tables = [name.strip() for name in title.split(",")]
        for names, kind in re.findall(r"^\| (`[^|]+`) \| ([A-Z]+(?:\[\])?) \|", "\n".join(lines), re.MULTILINE):
            documented |= {(table, name, kind) for table in tables for name in re.findall("`([a-z_]+)`", names)}
    published = {
        (file.stem, column, re.sub(r"\(.*\)", "", kind))
        for file in site.published.glob("*.parquet")
        for column, kind, *_ in duckdb.sql(f"DESCRIBE FROM '{file}'").fetchall()
    }
    of_contracts = {("records_imagery", "stain", "VARCHAR"), ("records_diagnoses", "grade", "BIGINT")}
    of_contracts |= {("cohort", "imagery_stain", "VARCHAR"), ("cohort", "diagnoses_grade", "BIGINT")}
    assert published - of_contracts == {entry for entry in documented if not entry[0].startswith("records_patients") and entry[0] != "…"}


async def test_people_may_ask_while_the_catalog_is_made_anew(site: Site) -> None:
    await site.happen(*(stored(index) for index in range(50)))
    await site.catalog.project(record(withdrawn(number(1)), after=50), 51)
    asked = [site.catalog.slides() for _ in range(5)]
    results = await asyncio.gather(site.catalog.compact(), *asked, site.catalog.publish(site.published), site.catalog.position())
    assert [len(rows) for rows in results[1:6]] == [49] * 5  # type: ignore[arg-type]
    assert duckdb.connect(str(site.root / "other")).execute(f"SELECT count(*) FROM '{site.published}/slides.parquet'").fetchone() == (49,)


async def test_the_cohort_has_each_aligned_slide_once_with_what_every_source_says(site: Site) -> None:
    facts = of_sources(records_facts(), "imagery", "diagnoses")
    site.put(facts, {"imagery": table(0, 2, stain="HE"), "diagnoses": table(1, 3, grade=3)}, [number(index) for index in range(5)])
    await site.happen(*(stored(index) for index in range(5)), loaded(facts), aligned())
    rows = sorted(site.read("cohort"), key=lambda row: row["slide_number"])
    assert [(row["slide_number"], row["imagery_stain"], row["diagnoses_grade"]) for row in rows] == [
        (number(0), "HE", None), (number(1), "HE", 3), (number(2), "HE", 3), (number(3), None, 3)
    ]  # fmt: skip
    assert {row["patient_number"] for row in rows} == {"300000000000"}
    assert [row["key"] for row in rows] == [row["key"] for row in sorted(site.read("slides"), key=lambda row: row["number"])[:4]]


async def test_of_two_sessions_that_name_a_slide_the_cohort_believes_the_newer(site: Site) -> None:
    await fill(site)
    newer = of_sources(records_facts(OTHER, batch=OTHER_BATCH), "imagery")
    site.put(newer, {"imagery": table(1, 1, stain="Ki67")}, [number(1)])
    await site.happen(loaded(newer), aligned(OTHER))
    assert sorted((row["slide_number"], row["imagery_stain"], row["diagnoses_grade"]) for row in site.read("cohort")) == [
        (number(0), "HE", 3), (number(1), "Ki67", None), (number(2), "HE", 3)
    ]  # fmt: skip


async def test_the_cohort_is_sorted_by_what_has_few_values(site: Site) -> None:
    facts = of_sources(records_facts(), "imagery")
    rows = table(0, 7).with_columns(stain=pl.Series(["b", "a"] * 4), scanner=pl.Series(["z", "y", "x", "w"] * 2))
    site.put(facts, {"imagery": rows}, [number(index) for index in range(8)])
    await site.happen(*(stored(index) for index in range(8)), loaded(facts), aligned())
    filtered = [(row["imagery_stain"], row["imagery_scanner"]) for row in site.read("cohort")]
    assert filtered == sorted(filtered)


async def test_a_withdrawn_slide_leaves_the_cohort_and_a_rescan_is_seen_in_it(site: Site) -> None:
    await fill(site)
    await site.happen(withdrawn(number(1)), stored(2, revision=2))
    assert {row["slide_number"]: row["revision"] for row in site.read("cohort")} == {number(0): 1, number(2): 2}
