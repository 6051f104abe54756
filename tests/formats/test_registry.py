"""A file is recognized by its bytes, vendors' formats before the plain one; what nobody knows is refused with a reason, never a crash."""

from __future__ import annotations

import io
import random
from functools import cache

import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.checklist import source_of
from slidekeeper.errors import Permanent
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.formats.tiff.pyramid import missing_part
from slidekeeper.formats.tiff.reading import Dialect
from slidekeeper.model.splice import Keep, SplicePlan
from writers.minimal import minimal_slide, noise, with_tags
from writers.tiff import ASCII

REGISTRY = SupportedFormats()
DIALECTS = [("<", False), (">", False), ("<", True), (">", True)]


def name_of(data: bytes) -> str:
    """The recognized format's name, or why none was."""
    try:
        return REGISTRY.recognize(source_of(data)).name
    except Permanent as refused:
        return refused.reason


@pytest.mark.parametrize(("order", "big"), DIALECTS)
def test_formats_are_recognized_in_every_dialect_of_tiff(order: str, big: bool) -> None:
    assert name_of(minimal_slide(order=order, big=big)) == "aperio"
    assert name_of(minimal_slide(order=order, big=big, description=b"a plain slide")) == "generic-tiff"
    assert name_of(minimal_slide(order=order, big=big, description=None)) == "generic-tiff"


def test_an_empty_file_is_told_apart_from_an_unknown_one() -> None:
    assert name_of(b"") == "empty-file"


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        b"II",
        b"not a slide at all",
        b"%PDF-1.7 " + bytes(64),
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"II*\0",
        b"MM\0\x2b\0\4\0\0" + bytes(8),
    ],
)
def test_what_is_no_tiff_is_unsupported(data: bytes) -> None:
    assert name_of(data) == "unsupported-format"


@pytest.mark.parametrize("length", [12, 2000, -10])
def test_a_truncated_tiff_is_called_truncated(length: int) -> None:
    assert name_of(minimal_slide()[:length]) == "truncated"


@pytest.mark.parametrize("text", [b"Philips DP v1.0", b"iScan Coreo", b"<?xml version='1.0'?><OME/>", b"Hamamatsu", b"Leica"])
def test_slides_of_vendors_with_rules_of_their_own_are_refused(text: bytes) -> None:
    assert name_of(minimal_slide(description=text)) == "unsupported-format"
    assert name_of(minimal_slide(with_tags((305, ASCII, text)), description=None)) == "unsupported-format"


def test_formats_are_listed_in_the_order_in_which_they_are_asked() -> None:
    assert [format_.name for format_ in REGISTRY.formats()] == ["aperio", "generic-tiff"]


@pytest.mark.parametrize(
    "data", [b"II*\0" + bytes(4), b"MM\0*" + bytes(400), b"II\x2b\0\x08" + bytes(64)], ids=["header-only", "big-endian", "bigtiff"]
)
def test_a_header_that_points_at_no_directory_yet_is_no_crash(data: bytes) -> None:
    assert name_of(data) == "truncated"
    assert missing_part(source_of(data)) == "truncated"


@cache
def seed_slide(kind: str, order: str, big: bool) -> tuple[bytes, tuple[int, ...]]:
    """A small slide, and where its directories and their values lie."""
    description = {"description": None} if kind == "generic" else {}
    data = minimal_slide(order=order, big=big, asides=[(1, noise(1)), (0, noise(2, (32, 32)))], **description)
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        places = {place for page in file.pages for place in range(page.offset, page.offset + 20 * len(page.tags) + 8)}
        places |= {
            place
            for page in file.pages
            for tag in page.tags
            for place in range(tag.valueoffset, tag.valueoffset + min(tag.valuebytecount, 64))
        }
    return data, tuple(sorted({place for place in places if place < len(data)} | set(range(16))))


def planned(data: bytes) -> SplicePlan | None:
    """What a worker does with a file before it writes: recognize, look whether it is whole, plan; None where it is refused."""
    source = source_of(data)
    try:
        format_ = REGISTRY.recognize(source)
        return None if format_.missing(source) else format_.plan(source).plan
    except (Permanent, EOFError):
        return None


def stays_inside(plan: SplicePlan, data: bytes) -> bool:
    """Whether the plan asks for no byte that is not there."""
    return plan.size <= len(data) and all(not isinstance(piece, Keep) or piece.offset + piece.length <= len(data) for piece in plan.pieces)


SEEDS = st.tuples(st.sampled_from(["aperio", "generic"]), st.sampled_from(DIALECTS))


@settings(max_examples=250, deadline=None)
@given(SEEDS, st.data())
def test_bent_headers_are_refused_or_planned_within_the_source(seed: tuple[str, tuple[str, bool]], data: st.DataObject) -> None:
    clean, places = seed_slide(seed[0], *seed[1])
    slide = bytearray(clean)
    for place in data.draw(st.lists(st.sampled_from(places[4:]), min_size=1, max_size=6)):
        slide[place] = data.draw(st.sampled_from([0, 1, 2, 3, 4, 5, 7, 16, 127, 128, 254, 255]) | st.integers(0, 255))
    plan = planned(bytes(slide))
    assert plan is None or stays_inside(plan, bytes(slide))


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.floats(0, 1))
def test_a_truncated_slide_is_refused(seed: tuple[str, tuple[str, bool]], share: float) -> None:
    slide, _ = seed_slide(seed[0], *seed[1])
    assert planned(slide) is not None
    assert planned(slide[: int(share * (len(slide) - 1))]) is None


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(DIALECTS), st.integers(8, 3000))
def test_noise_behind_a_tiff_header_is_refused(seed: int, dialect: tuple[str, bool], length: int) -> None:
    header = Dialect(*dialect).header(20)
    assert planned(header.ljust(20, b"\0") + random.Random(seed).randbytes(length)) is None
