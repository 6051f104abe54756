"""A slide in a drop folder, a bucket, and all that a worker is given beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.readers.independent import IndependentReader
from slidekeeper.adapters.search.hyperscan_search import HyperscanFactory
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.model.phi import Barcode, Member, RelativePath, Role
from slidekeeper.model.splice import Anonymization, Content, Keep, Secret, SplicePlan
from slidekeeper.ports.formats import USUAL, Choices, Format, Source
from slidekeeper.steps.anonymize.job import AnonymizeRequest
from writers import Planted, write_aperio

BARCODE = "S26-4711;A;1"
SIZE = (1024, 1024)


@dataclass(frozen=True)
class Bench:
    """A slide in a drop folder and an empty bucket."""

    planted: Planted
    request: AnonymizeRequest
    bucket: PosixBucket

    @property
    def left_aside(self) -> set[str]:
        """What lies aside in the bucket."""
        return set(self.bucket.asides())

    def output(self, name: str = "123456789012.svs") -> bytes:
        """The bytes of what lies aside."""
        return self.bucket.aside_path("pack", name).read_bytes()


def request_for(folder: Path, path: bytes) -> AnonymizeRequest:
    """The order to anonymize a file that is there now."""
    drop = PosixDrop("scanner", folder / "drop")
    identity = drop.identify(RelativePath(path))
    assert identity is not None
    (folder / "bucket").mkdir(exist_ok=True)
    return AnonymizeRequest(
        drop=drop,
        image=Member(RelativePath(path), Role.IMAGE, identity),
        barcode=Barcode(BARCODE),
        stem="123456789012",
        bucket=PosixBucket(folder / "bucket"),
        aside="pack",
        formats=SupportedFormats(),
        search=HyperscanFactory(),
        reader=IndependentReader(),
        thumbnail_pixels=100,
    )


def bench_in(folder: Path, target_bytes: int | None = None) -> Bench:
    """A bench below ``folder``; with a slide of about so many bytes."""
    session = folder / "drop" / "Monday-Abernathy"
    session.mkdir(parents=True)
    planted = write_aperio(session / f"{BARCODE}.svs", seed=3, barcode=BARCODE, size=SIZE, target_bytes=target_bytes)
    request = request_for(folder, f"Monday-Abernathy/{BARCODE}.svs".encode())
    return Bench(planted, request, PosixBucket(folder / "bucket"))


@dataclass(frozen=True)
class Careless:
    """A format that plans a plain copy: every secret it knows of stays where it is."""

    format: Format
    secrets: tuple[Secret, ...] = ()
    windows: tuple[Secret, ...] = ()
    content: Content = Content.STRUCTURE
    name: str = "careless"

    def recognizes(self, source: Source) -> bool:
        return True

    def missing(self, source: Source) -> str:
        return ""

    def plan(self, source: Source, choices: Choices = USUAL) -> Anonymization:
        facts = self.format.plan(source).facts
        plan = SplicePlan((Keep(0, source.size, self.content, "everything"),))
        return Anonymization(plan, facts, self.secrets, self.windows)
