"""Whatever survives, changes or breaks while a worker works: nothing is left aside, and the reason is the right one."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image

from slidekeeper.adapters.bucket import large, splicing
from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.readers.independent import IndependentReader
from slidekeeper.errors import Permanent, SlidekeeperError, SourceChanged, Temporary, Unavailable
from slidekeeper.formats.aperio import Aperio
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.model.identity import BatchId, PackId, new_slide_number
from slidekeeper.model.phi import Barcode, FileIdentity, Member, PackFiles, RelativePath, Role
from slidekeeper.model.slide import ImageFacts
from slidekeeper.model.splice import Anonymization, Content, Secret, SplicePlan
from slidekeeper.ports.bucket import Inspect, Written
from slidekeeper.ports.formats import USUAL, Choices, Source
from slidekeeper.steps.anonymize.job import AnonymizeRequest, anonymize_slide
from slidekeeper.steps.anonymize.request import Tools, request_of
from steps.anonymize.slide_bench import BARCODE, Bench, Careless, bench_in, request_for
from writers.minimal import TILE, minimal_slide, tile_with_segment, with_tags
from writers.tiff import ASCII, tissue_tile

LARGE = 24 * 1024 * 1024
"""Bytes of a slide that goes the kernel's way."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return bench_in(tmp_path)


def careless(bench: Bench, **changes: object) -> AnonymizeRequest:
    """The request with a format that removes nothing."""
    with bench.planted.path.open("rb") as stream:
        format_ = SupportedFormats().recognize(Source(stream, bench.planted.path.stat().st_size))
    return replace(bench.request, formats=SupportedFormats((Careless(format_, **changes),)))  # type: ignore[arg-type]


def refused(request: AnonymizeRequest) -> SlidekeeperError:
    with pytest.raises(SlidekeeperError) as refusal:
        anonymize_slide(request)
    return refusal.value


@pytest.mark.parametrize("content", list(Content))
def test_a_removed_value_that_survives_is_found(bench: Bench, content: Content) -> None:
    secret = Secret(bench.planted.identifiers[1].encode())
    request = replace(careless(bench, secrets=(secret,), content=content), barcode=Barcode("not in it"))
    assert refused(request).reason == "identifier-found"
    assert not bench.left_aside


def test_a_barcode_that_survives_is_found_though_no_format_named_it(bench: Bench) -> None:
    trouble = refused(careless(bench))
    assert trouble.reason == "identifier-found"
    assert BARCODE not in str(trouble)
    assert not bench.left_aside


@pytest.mark.parametrize("name", ["Featherstone^Clementine", "40815162", "1234", "Kim7"], ids=["name", "number", "short number", "short"])
def test_the_name_of_a_folder_that_survives_is_found(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "drop" / name
    folder.mkdir(parents=True)
    (folder / "a.svs").write_bytes(minimal_slide(with_tags((65111, ASCII, f"of {name}".encode()))))
    request = request_for(tmp_path, f"{name}/a.svs".encode())
    request = replace(request, barcode=Barcode("not in it"), formats=SupportedFormats((Careless(Aperio()),)))
    assert refused(request).reason == "identifier-found"


def test_a_piece_of_a_destroyed_image_that_survives_is_found(bench: Bench) -> None:
    window = bench.planted.path.read_bytes()[3000:3024]
    request = replace(careless(bench, windows=(Secret(window),), content=Content.CODED), barcode=Barcode("not in it"))
    assert refused(request).reason == "identifier-found"


def test_a_copy_that_another_reader_finds_fault_with_is_not_kept(bench: Bench, tmp_path: Path) -> None:
    bench.planted.path.rename(tmp_path / "drop" / "x.svs")
    request = request_for(tmp_path, b"x.svs")
    moved = replace(bench.planted, path=tmp_path / "drop" / "x.svs")
    request = replace(careless(replace(bench, planted=moved, request=request)), barcode=Barcode("not in it"))
    assert refused(request).reason == "proof-failed"
    assert not bench.left_aside


@dataclass(frozen=True)
class MeddlingBucket(PosixBucket):
    """Something happens to the source when it was half copied."""

    source: Path = Path()
    what: str = ""

    def splice(self, aside: str, name: str, source: BinaryIO, plan: SplicePlan, inspect: Inspect) -> Written:
        if self.what == "shrunk before":
            os.truncate(self.source, 1000)
        meddled: list[str] = []

        def meddling(span: memoryview, content: Content) -> None:
            if not meddled:
                meddled.append(self.what)
                self._meddle(self.what.removesuffix(" meanwhile"))
            inspect(span, content)

        if self.what.endswith(" meanwhile"):
            return super().splice(aside, name, source, plan, meddling)
        written = super().splice(aside, name, source, plan, inspect)
        self._meddle(self.what)
        return written

    def _meddle(self, what: str) -> None:
        match what:
            case "shrunk":
                os.truncate(self.source, LARGE // 2)
            case "appended":
                with self.source.open("ab") as stream:
                    stream.write(b"more")
            case "rewritten":
                self.source.write_bytes(self.source.read_bytes())
            case "replaced":
                copy = self.source.with_name("copy")
                copy.write_bytes(self.source.read_bytes())
                copy.replace(self.source)
            case "deleted":
                self.source.unlink()
            case "touched":
                os.utime(self.source)


@pytest.mark.parametrize("what", ["shrunk before", "appended", "rewritten", "replaced", "deleted", "touched"])
def test_a_source_that_changes_while_it_is_read_is_discarded(bench: Bench, what: str) -> None:
    bucket = MeddlingBucket(bench.bucket.root, source=bench.planted.path, what=what)
    with pytest.raises(SourceChanged):
        anonymize_slide(replace(bench.request, bucket=bucket))
    assert not bench.left_aside


@pytest.mark.parametrize("what", ["shrunk", "appended", "rewritten", "replaced", "deleted"])
@pytest.mark.parametrize("lead", [1, large.LEAD_WINDOWS], ids=["copied step by step", "copied ahead"])
def test_a_large_source_that_changes_while_it_is_read_is_discarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, lead: int
) -> None:
    monkeypatch.setattr(large, "LEAD_WINDOWS", lead)
    bench = bench_in(tmp_path, target_bytes=LARGE)
    assert bench.planted.path.stat().st_size > splicing.SMALL_BYTES
    bucket = MeddlingBucket(bench.bucket.root, source=bench.planted.path, what=f"{what} meanwhile")
    with pytest.raises(SourceChanged):
        anonymize_slide(replace(bench.request, bucket=bucket))
    assert not bench.left_aside


def test_a_source_that_changed_since_it_settled_is_not_read(bench: Bench) -> None:
    os.utime(bench.planted.path, (1, 1))
    with pytest.raises(SourceChanged):
        anonymize_slide(bench.request)
    assert not bench.left_aside


@dataclass(frozen=True)
class Shrinking(Careless):
    """The file gets shorter while its headers are read."""

    path: Path = Path()

    def plan(self, source: Source, choices: Choices = USUAL) -> Anonymization:
        os.truncate(self.path, 16)
        return self.format.plan(source)


def test_a_source_that_shrinks_while_it_is_planned_is_a_change_and_no_fault(bench: Bench) -> None:
    format_ = careless(bench).formats.formats()[0]
    shrinking = Shrinking(format_.format, path=bench.planted.path)  # type: ignore[attr-defined]
    with pytest.raises(SourceChanged):
        anonymize_slide(replace(bench.request, formats=SupportedFormats((shrinking,))))
    assert not bench.left_aside


@dataclass(frozen=True)
class Unplugged(Careless):
    """The share goes away while the headers are read."""

    def plan(self, source: Source, choices: Choices = USUAL) -> Anonymization:
        raise OSError(errno.ESTALE, "Stale file handle", BARCODE)


def test_a_share_that_goes_away_while_a_slide_is_planned_is_no_fault_of_the_slide(bench: Bench) -> None:
    format_ = careless(bench).formats.formats()[0]
    unplugged = Unplugged(format_.format)  # type: ignore[attr-defined]
    with pytest.raises(Unavailable) as away:
        anonymize_slide(replace(bench.request, formats=SupportedFormats((unplugged,))))
    assert (away.value.place, away.value.reason) == ("drop:scanner", "stale-mount")


class UnpluggedBucket(PosixBucket):
    """The bucket goes away behind the copy: no reader can open it any more."""

    def aside_path(self, aside: str, name: str) -> Path:
        return self.root / "nowhere"

    def digest_aside(self, aside: str, name: str) -> str:
        raise Unavailable("bucket", "stale-mount")


def test_a_bucket_that_goes_away_behind_the_copy_is_no_failed_proof(bench: Bench) -> None:
    with pytest.raises(Unavailable, match="stale-mount"):
        anonymize_slide(replace(bench.request, bucket=UnpluggedBucket(bench.bucket.root)))


@dataclass(frozen=True)
class FlickeringReader(IndependentReader):
    """Cannot open anything the first times."""

    failures: list[str] = field(default_factory=list)

    def verify(self, path: Path, facts: ImageFacts) -> None:
        if self.failures:
            raise Permanent("proof-failed", self.failures.pop())
        super().verify(path, facts)


def test_a_proof_that_fails_once_is_repeated_and_failing_twice_it_counts(bench: Bench) -> None:
    assert anonymize_slide(replace(bench.request, reader=FlickeringReader(["io"]))).facts
    assert refused(replace(bench.request, reader=FlickeringReader(["io", "io"]))).reason == "proof-failed"
    assert not bench.left_aside


class ForgetfulBucket(PosixBucket):
    """Gives back other bytes than were written."""

    def digest_aside(self, aside: str, name: str) -> str:
        return "blake3:0"


def test_a_proof_that_fails_on_other_bytes_than_were_written_is_the_buckets_trouble(bench: Bench) -> None:
    request = replace(bench.request, bucket=ForgetfulBucket(bench.bucket.root), reader=FlickeringReader(["vendor"]))
    assert (type(refused(request)), refused(replace(request, reader=FlickeringReader(["vendor"]))).reason) == (Temporary, "bucket-error")


class FullBucket(PosixBucket):
    """The disk is full when the thumbnail comes, and nothing can be removed either."""

    def put(self, aside: str, name: str, data: bytes) -> None:
        raise Unavailable("bucket", "disk-full")

    def discard(self, aside: str) -> None:
        raise Unavailable("bucket", "io-error")


def test_a_failure_to_clean_up_does_not_hide_the_first_error(bench: Bench) -> None:
    with pytest.raises(Unavailable, match="disk-full"):
        anonymize_slide(replace(bench.request, bucket=FullBucket(bench.bucket.root)))


def test_metadata_in_one_of_many_tiles_is_found(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    tiles = [tissue_tile(1, TILE)] * 400
    tiles[5] = tile_with_segment(0xFFE1, b"Exif\0\0Featherstone")
    (tmp_path / "drop" / "a.svs").write_bytes(minimal_slide(tiles=tiles))
    assert refused(request_for(tmp_path, b"a.svs")).reason == "metadata-in-tiles"
    assert not PosixBucket(tmp_path / "bucket").asides()


@pytest.mark.parametrize(("role", "name"), [(Role.BARCODE, "a.txt"), (Role.THUMBNAIL, "a.jpg")])
def test_what_a_companion_says_is_searched(bench: Bench, tmp_path: Path, role: Role, name: str) -> None:
    companion = tmp_path / "drop" / name
    patient = bench.planted.identifiers[1]
    if role is Role.BARCODE:
        companion.write_text(f"something\n{patient}\n")
    else:
        exif = Image.Exif()
        exif[270] = patient
        Image.new("RGB", (8, 8)).save(companion, exif=exif)
    identity = bench.request.drop.identify(RelativePath(name.encode()))
    assert identity is not None
    request = replace(careless(bench), barcode=Barcode("not in it"), companions=(Member(RelativePath(name.encode()), role, identity),))
    assert refused(request).reason == "identifier-found"


def test_companions_of_a_pack_are_read(bench: Bench) -> None:
    identity = FileIdentity(1, 2, 3)
    members = tuple(
        Member(RelativePath(role.value.encode()), role, identity) for role in (Role.IMAGE, Role.BARCODE, Role.THUMBNAIL, Role.SIDECAR)
    )
    files = PackFiles(PackId("a" * 16), "scanner", BatchId("b" * 12), RelativePath(b"a"), Barcode("a"), members)
    tools = Tools(bench.bucket, SupportedFormats(), bench.request.search, bench.request.reader, 100)
    assert request_of(files, bench.request.drop, new_slide_number(), tools).companions == members[1:3]
