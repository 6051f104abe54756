"""A worker leaves a proven copy aside and nothing else, and tells what it wrote."""

from __future__ import annotations

import os
import pickle
import time
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import openslide
import pytest
from blake3 import blake3
from PIL import Image

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.errors import Permanent, SlidekeeperError
from slidekeeper.model.phi import Barcode
from slidekeeper.ports.formats import Choices
from slidekeeper.steps.anonymize.job import WholenessRequest, anonymize_slide, probe_wholeness
from steps.anonymize.slide_bench import BARCODE, SIZE, Bench, bench_in, request_for
from writers import write_aperio, write_generic_tiff
from writers.minimal import minimal_slide, with_tags
from writers.tiff import ASCII, UNDEFINED


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return bench_in(tmp_path)


def test_a_slide_comes_out_whole_and_without_any_planted_identifier(bench: Bench) -> None:
    outcome = anonymize_slide(bench.request)
    output = bench.output()
    assert (outcome.facts.format, outcome.facts.extension) == ("aperio", ".svs")
    assert [(level.width, level.height) for level in outcome.facts.levels] == list(bench.planted.levels)
    for identifier in bench.planted.identifiers:
        assert identifier.encode() in bench.planted.path.read_bytes()
        assert identifier.encode() not in output
    assert outcome.seconds > 0


def test_what_was_written_and_what_was_read_are_told_by_digest(bench: Bench) -> None:
    written = anonymize_slide(bench.request).written
    assert written.digest == f"blake3:{blake3(bench.output()).hexdigest()}"
    assert written.source_digest == f"blake3:{blake3(bench.planted.path.read_bytes()).hexdigest()}"
    assert written.size == len(bench.output())


def test_a_new_thumbnail_lies_beside_the_slide_without_metadata(bench: Bench) -> None:
    anonymize_slide(bench.request)
    with Image.open(BytesIO(bench.output("thumbnail.jpg"))) as thumbnail:
        assert (thumbnail.format, max(thumbnail.size)) == ("JPEG", 100)
        assert not thumbnail.getexif()


def test_nothing_is_visible_in_the_bucket_yet(bench: Bench) -> None:
    anonymize_slide(bench.request)
    assert [path.name for path in bench.bucket.root.iterdir()] == [".aside"]
    assert sorted(path.name for path in (bench.bucket.root / ".aside" / "pack").iterdir()) == ["123456789012.svs", "thumbnail.jpg"]


def test_the_original_stays_as_it_was(bench: Bench) -> None:
    before, identity = bench.planted.path.read_bytes(), bench.request.image.identity
    anonymize_slide(bench.request)
    assert bench.planted.path.read_bytes() == before
    assert bench.request.drop.identify(bench.request.image.path) == identity


def test_doing_it_twice_is_doing_it_once(bench: Bench) -> None:
    first, second = anonymize_slide(bench.request), anonymize_slide(bench.request)
    assert (first.facts, first.written) == (second.facts, second.written)


def test_a_generic_slide_comes_out_too(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    planted = write_generic_tiff(tmp_path / "drop" / "a.tif", seed=4, barcode=BARCODE, size=SIZE)
    outcome = anonymize_slide(request_for(tmp_path, b"a.tif"))
    output = (tmp_path / "bucket" / ".aside" / "pack" / f"123456789012{outcome.facts.extension}").read_bytes()
    assert outcome.facts.format == "generic-tiff"
    assert not [identifier for identifier in planted.identifiers if identifier.encode() in output]


def test_a_small_image_that_is_destroyed_raises_no_false_alarm(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    write_generic_tiff(tmp_path / "drop" / "a.tif", seed=4, barcode=BARCODE, size=(768, 512))  # its last level has another shape
    assert anonymize_slide(request_for(tmp_path, b"a.tif")).facts.format == "generic-tiff"


def test_a_long_removed_text_is_searched(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    long = " ".join(f"word{number}" for number in range(2000)).encode()
    (tmp_path / "drop" / "a.tif").write_bytes(minimal_slide(with_tags((65111, ASCII, long)), description=None))
    assert anonymize_slide(request_for(tmp_path, b"a.tif")).facts.format == "generic-tiff"


@pytest.mark.parametrize("keep", [True, False])
def test_a_site_chooses_whether_the_scanners_thumbnail_stays(bench: Bench, keep: bool) -> None:
    outcome = anonymize_slide(replace(bench.request, choices=Choices(keep_thumbnail=keep)))
    with openslide.OpenSlide(bench.bucket.aside_path("pack", "123456789012.svs")) as slide:
        assert set(slide.associated_images) == ({"thumbnail"} if keep else set())
    assert (outcome.facts.thumbnail, "image:other" in outcome.facts.removed) == (keep, not keep)


def test_a_megabyte_of_removed_text_is_held_at_once(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    long = "".join(f"word{number} " for number in range(100_000)).encode()
    (tmp_path / "drop" / "a.tif").write_bytes(minimal_slide(with_tags((37724, UNDEFINED, long)), description=None))
    started = time.process_time()
    with pytest.raises(Permanent, match="too-much-text"):
        anonymize_slide(request_for(tmp_path, b"a.tif"))
    assert time.process_time() - started < 5


ORDINARY = [
    "Aperio/a.svs",
    "Image.svs",
    "2048.svs",
    "1024/a.svs",
    "Aperio Image Library/40/a.svs",
    "JPEG/Filtered/AppMag.svs",
    "aperio/IMAGE.svs",
]


@pytest.mark.parametrize("path", ORDINARY)
def test_folders_and_files_named_like_what_every_slide_says_raise_no_false_alarm(tmp_path: Path, path: str) -> None:
    place = tmp_path / "drop" / path
    place.parent.mkdir(parents=True)
    write_aperio(place, seed=3, barcode=BARCODE, size=(2048, 1024))
    barcode = Barcode(place.stem)
    assert anonymize_slide(replace(request_for(tmp_path, path.encode()), barcode=barcode)).facts.format == "aperio"


def test_request_and_outcome_can_be_sent_to_a_worker_and_back(bench: Bench) -> None:
    outcome = anonymize_slide(pickle.loads(pickle.dumps(bench.request)))
    assert pickle.loads(pickle.dumps(outcome)) == outcome


def test_a_file_that_is_no_slide_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.svs").write_bytes(b"no slide at all")
    with pytest.raises(Permanent, match="unsupported-format"):
        anonymize_slide(request_for(tmp_path, b"a.svs"))
    assert not PosixBucket(tmp_path / "bucket").asides()


def test_a_truncated_slide_is_refused_and_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    os.truncate(bench.planted.path, bench.planted.path.stat().st_size // 2)
    with pytest.raises(Permanent, match="truncated"):
        anonymize_slide(request_for(tmp_path, bench.request.image.path.reveal()))
    assert not bench.left_aside


@pytest.mark.parametrize(("share", "missing"), [(1.0, ""), (0.5, "truncated"), (0.0, "empty-file")])
def test_a_slide_is_whole_or_it_is_told_why_not(bench: Bench, tmp_path: Path, share: float, missing: str) -> None:
    os.truncate(bench.planted.path, int(bench.planted.path.stat().st_size * share))
    request = request_for(tmp_path, bench.request.image.path.reveal())
    assert probe_wholeness(WholenessRequest(request.drop, request.image, request.formats)) == missing


def test_a_format_nobody_knows_is_as_whole_as_it_will_ever_be(bench: Bench, tmp_path: Path) -> None:
    bench.planted.path.write_bytes(b"not a slide")
    request = request_for(tmp_path, bench.request.image.path.reveal())
    assert probe_wholeness(WholenessRequest(request.drop, request.image, request.formats)) == ""


def test_asking_whether_a_slide_is_whole_writes_nothing(bench: Bench) -> None:
    with suppress(SlidekeeperError):
        probe_wholeness(WholenessRequest(bench.request.drop, bench.request.image, bench.request.formats))
    assert not bench.left_aside
