"""Makes a believable event of every type, about a pack, batch and slide of the test's choice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, get_args

from slidekeeper.messages import events as fact
from slidekeeper.model.identity import BatchId, PackId, SlideNumber
from slidekeeper.model.records import AlignmentFacts, RecordsFacts, RecordsId, SourceFacts
from slidekeeper.model.run import CleaningFacts, DoneMarker, RunId, RunPlace
from slidekeeper.model.slide import ImageFacts, Level, SlideFacts
from slidekeeper.model.staging import Cohort, StagingFacts, StagingId
from slidekeeper.model.version import VersionFacts

PACK_EVENTS: tuple[type[fact.AnyPackEvent], ...] = get_args(fact.AnyPackEvent)
BATCH_EVENTS: tuple[type[fact.AnyBatchEvent], ...] = get_args(fact.AnyBatchEvent)
STAGING_EVENTS: tuple[type[fact.AnyStagingEvent], ...] = get_args(fact.AnyStagingEvent)
RUN_EVENTS: tuple[type[fact.AnyRunEvent], ...] = get_args(fact.AnyRunEvent)
RECORDS_EVENTS: tuple[type[fact.AnyRecordsEvent], ...] = get_args(fact.AnyRecordsEvent)
EVENTS: tuple[type[fact.Event], ...] = get_args(fact.Event)

PACK = PackId("0000000000000001")
BATCH = BatchId("b00000000001")
NUMBER = SlideNumber("123456789012")
RECORDS = RecordsId("aaaaaaaaaaaa")
STAGING = StagingId("cccccccccccc")
RUN = RunId("dddddddddddd")
SOURCES = ("imagery", "patients", "diagnoses")


def pack_id(number: int) -> PackId:
    """The ``number``-th pack's id."""
    return PackId(f"{number:016x}")


def slide_facts(pack: PackId, *, batch: BatchId = BATCH, number: SlideNumber = NUMBER, revision: int = 1) -> SlideFacts:
    """Facts of a small slide; the digest follows from the pack."""
    image = ImageFacts(
        format="aperio",
        extension=".svs",
        levels=(
            Level(width=2816, height=2560, tile_width=256, tile_height=256),
            Level(width=704, height=640, tile_width=256, tile_height=256),
        ),
        compression="jpeg",
        mpp=0.25,
        magnification=40.0,
        icc=True,
        removed=("image:label", "key:User"),
    )
    return SlideFacts(
        number=number,
        revision=revision,
        pack=pack,
        batch=batch,
        drop="scanner-a",
        image=image,
        size=1_234_567,
        digest=f"blake3:{int(pack, 16):064x}",
        seconds=1.5,
        anonymizer="0.1.0",
    )


def records_facts(records: RecordsId = RECORDS, *, batch: BatchId = BATCH, revision: int = 1, rows: int = 5) -> RecordsFacts:
    """Facts of three sources with so many rows each; of every one two rows were rejected."""
    sources = [
        SourceFacts(
            source=source,
            contract=f"sha256:{1:064x}",
            contract_version=1,
            rows=rows,
            rejected={"not-a-date": 2},
            columns=("slide_number", "stain"),
            small_cells=1,
            digest=f"blake3:{revision:064x}",
        )
        for source in SOURCES
    ]
    return RecordsFacts(records=records, revision=revision, batch=batch, sources=tuple(sources), seconds=0.5, anonymizer="0.1.0")


def alignment_facts(records: RecordsId = RECORDS, *, revision: int = 1, alignment: int = 1, matched: int = 12) -> AlignmentFacts:
    """An alignment of which all but three rows found their slide."""
    counts = {"matched": matched, "row-without-slide": 3, "slide-without-row": 1}
    return AlignmentFacts(records=records, revision=revision, alignment=alignment, counts=counts)


def run_place(project: str = "gleason", name: str = "2026-11-24-a") -> RunPlace:
    """A run below a training root."""
    return RunPlace(project=project, name=name, folder=f"/runs/{project}/{name}", root="/runs")


def version_facts(project: str = "gleason", version: int = 3) -> VersionFacts:
    """A version of four files, of which one could not be read."""
    counts = {"files": 4, "size": 4_000_000, "added": 1_000_000, "missing": 1}
    return VersionFacts(project=project, version=version, tree=f"{version:064x}", status="succeeded", seconds=0.5, **counts)


FACTS: Mapping[type[fact.Event], Any] = {
    fact.RecordsLoaded: records_facts,
    fact.RecordsWithdrawn: records_facts,
    fact.RecordsAligned: alignment_facts,
    fact.StagingCompleted: lambda: StagingFacts(files=12, size=12_000_000, copied=12_000_000, seconds=0.5, manifest=f"blake3:{5:064x}"),
    fact.RunProtected: version_facts,
    fact.RunCleaned: lambda: CleaningFacts(files=4, size=4_000_000, left=1, scripts=0, seconds=0.5),
}
"""Facts that are not those of a slide."""


def event_of(kind: type[fact.Event], pack: PackId = PACK, *, batch: BatchId = BATCH, **chosen: Any) -> Any:
    """An event of type ``kind``; ``chosen`` fields win over the believable ones."""
    believable: dict[str, Any] = {
        "pack": pack,
        "batch": batch,
        "drop": "scanner-a",
        "files": 3,
        "size": 1_234_567,
        "waited_seconds": 12.5,
        "step": "store",
        "reason": "share-slow",
        "detail": "no answer within 5 s",
        "number": NUMBER,
        "revision": 1,
        "by": "operator",
        "originals": "kept",
        "facts": slide_facts(pack, batch=batch),
        "packs": 7,
        "catalogued": 4,
        "duplicates": 1,
        "quarantined": 1,
        "place": "bucket",
        "version": "0.1.0",
        "pending": 2,
        "records": RECORDS,
        "withdrawal": "0123456789ab",
        "slides": (NUMBER,),
        "revisions": 1,
        "rows": 3,
        "asked": 2,
        "alignment": 2,
        "others": ("345678901234",) if kind is fact.ConsentWithdrawn else 1,
        "staging": STAGING,
        "name": "gleason-high",
        "tier": "flash",
        "cohort": Cohort(sql="isup >= 4", slides=12, size=12_000_000, digest=f"blake3:{3:064x}", catalog=40),
        "left": 0,
        "run": RUN,
        "marker": DoneMarker(message="converged", parameters={"epochs": 3}),
        "project": "gleason",
        "objects": 1,
        "script": "free-quota",
        "code": 0,
        "seconds": 0.25,
        "output": "freed 3 GB",
        "until": date(2036, 1, 1),
        "remove_after": datetime(2027, 1, 1, tzinfo=UTC),
    }
    if kind in FACTS:
        believable["facts"] = FACTS[kind]()
    if kind in RUN_EVENTS:
        believable["place"] = run_place()
    if kind is fact.KeyRotated or kind in get_args(fact.AnyVersionEvent):
        believable["version"] = 2
    return kind(**{name: value for name, value in {**believable, **chosen}.items() if name in kind.model_fields})
