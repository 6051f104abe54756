"""Coded tiles hold pixels and nothing else: sampled ones to their last byte, every one of them at its beginning and its end."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from formats.checklist import plan_of
from formats.tiff.test_segments import COM, code_stream, segment
from shared_data import shared
from slidekeeper.errors import Permanent
from slidekeeper.model.splice import Content
from writers.minimal import TILE, minimal_slide, tile_with_segment
from writers.tiff import tissue_tile

SECRET = b"Featherstone"
TISSUE = tissue_tile(1, TILE)
MANY = 60


def detail(data: bytes) -> str:
    """Why a plan is refused, or an empty string."""
    try:
        plan_of(data)
    except Permanent as refused:
        assert refused.reason == "metadata-in-tiles"
        return refused.detail
    return ""


def found_while_written(data: bytes, chunk: int = 1 << 22) -> str:
    """What the plan's inspection finds among the bytes, seen in chunks of this size."""
    begin = plan_of(data).inspection
    assert begin is not None
    inspection = begin()
    for at in range(0, len(data), chunk):
        inspection.feed(memoryview(data)[at : at + chunk], Content.CODED)
    return inspection.fault()


def progressive(between: bytes = b"") -> bytes:
    """A JPEG of several scans, with something between the last two."""
    stream = io.BytesIO()
    Image.open(io.BytesIO(TISSUE)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    at = data.rindex(b"\xff\xda")
    return data[:at] + between + data[at:]


def two_part_stream(*more: bytes, length: int = 0) -> bytes:
    """A JPEG 2000 code-stream of two tile-parts with segments in the header of the second."""
    first = b"\xff\x90\x00\x0a\0\0" + (12 + 2 + 6).to_bytes(4, "big") + b"\0\2" + b"\xff\x93pixels"
    body = b"".join(more) + b"\xff\x93pixels"
    second = b"\xff\x90\x00\x0a\0\0" + (length and 12 + len(body)).to_bytes(4, "big") + b"\1\2" + body
    return b"\xff\x4f" + segment(0xFF51, bytes(40)) + first + second + b"\xff\xd9"


@pytest.mark.parametrize("tile", [TISSUE, progressive(), progressive(segment(0xFFC4, bytes(30)))], ids=["baseline", "scans", "tables"])
def test_a_jpeg_is_read_to_its_end_and_zeros_may_pad_it(tile: bytes) -> None:
    assert detail(minimal_slide(tiles=[tile])) == detail(minimal_slide(tiles=[tile + bytes(7)])) == ""
    assert found_while_written(minimal_slide(tiles=[tile, tile + bytes(7)])) == ""


@pytest.mark.parametrize("more", [SECRET, SECRET + b"\xff\xd9", b"\0" + SECRET], ids=["text", "text and end", "zero and text"])
def test_bytes_behind_the_end_of_a_jpeg_make_the_slide_refused(more: bytes) -> None:
    assert "bytes behind the end" in detail(minimal_slide(tiles=[TISSUE + more]))


def test_a_jpeg_without_end_makes_the_slide_refused() -> None:
    assert "no end" in detail(minimal_slide(tiles=[TISSUE[:-2]]))


def test_a_comment_between_scans_makes_the_slide_refused() -> None:
    assert "JPEG segment FFFE" in detail(minimal_slide(tiles=[progressive(segment(COM, SECRET))]))


@pytest.mark.parametrize("length", [0, 1])
def test_a_code_stream_is_read_from_tile_part_to_tile_part(length: int) -> None:
    def refused(*more: bytes, behind: bytes = b"") -> str:
        return detail(minimal_slide(tiles=[two_part_stream(*more, length=length) + behind], compression=33005))

    assert refused() == refused(segment(0xFF58, bytes(5))) == refused(behind=bytes(3)) == ""
    assert "JPEG 2000 segment FF64" in refused(segment(0xFF64, b"\0\1" + SECRET))
    assert refused(behind=SECRET)


@pytest.mark.parametrize("tile", [code_stream()[:-2], two_part_stream()[:60], two_part_stream(length=1)[:-2]])
def test_a_code_stream_without_end_makes_the_slide_refused(tile: bytes) -> None:
    assert detail(minimal_slide(tiles=[tile], compression=33005))


@pytest.mark.parametrize(
    "odd", [tile_with_segment(COM, SECRET), TISSUE + SECRET, SECRET * 20, TISSUE[:-2]], ids=["comment", "behind", "no jpeg", "no end"]
)
def test_one_odd_tile_among_many_is_found_while_they_are_written(odd: bytes) -> None:
    tiles = [tissue_tile(shade % 4, TILE) for shade in range(MANY)]
    assert found_while_written(minimal_slide(tiles=tiles)) == ""
    tiles[5] = odd
    data = minimal_slide(tiles=tiles)
    assert detail(data) == ""
    assert found_while_written(data)


@settings(max_examples=40, deadline=None)
@given(st.integers(50, 20_000), st.sampled_from([b"", SECRET]))
def test_chunks_of_any_size_give_the_same_answer(chunk: int, more: bytes) -> None:
    tiles = [TISSUE] * 12 + [tissue_tile(2, TILE) + bytes(20)] * 12
    tiles[4] = TISSUE + more
    data = minimal_slide(tiles=tiles * 2)
    assert bool(found_while_written(data, chunk)) == bool(more)


@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "TCGA-CR-7395-01A-01-TS1.svs"])
def test_every_tile_of_a_real_slide_passes(name: str) -> None:
    assert found_while_written(shared("slides", "svs", name).read_bytes()) == ""


def test_a_file_that_ends_before_its_last_tile_is_found() -> None:
    begin = plan_of(minimal_slide()).inspection
    assert begin is not None
    assert begin().fault() == "no end"
