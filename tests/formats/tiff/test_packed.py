"""Behind the pixels of a packed tile nothing may follow, and no more pixels may be packed than it has room for."""

from __future__ import annotations

import io
import zlib
from random import Random

import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from formats.checklist import plan_of
from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.packed import more_than_deflate, more_than_lzw, more_than_plain
from writers.minimal import TILE, minimal_slide

PIXELS = Random(1).randbytes(3 * TILE * TILE)
SECRET = b"Featherstone"


def lzw(picture: Image.Image) -> bytes:
    """The one strip of a picture as libtiff packs it."""
    stream = io.BytesIO()
    picture.save(stream, "TIFF", compression="tiff_lzw", strip_size=1 << 30)
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        [page] = file.pages
        [start], [length] = page.dataoffsets, page.databytecounts
    return stream.getvalue()[start : start + length]


def refusal(tile: bytes, compression: int) -> str:
    """Why a slide of this tile is refused."""
    try:
        plan_of(minimal_slide(tiles=[tile], compression=compression))
    except Permanent as refused:
        return refused.detail
    return ""


@pytest.mark.no_cover  # a loop over every code: counting its lines takes longer than running them, and other tests cover it
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (256, 256), (300, 500)])
@pytest.mark.parametrize("seed", [None, 1])
def test_a_strip_that_libtiff_packed_holds_nothing_else(size: tuple[int, int], seed: int | None) -> None:
    length = 3 * size[0] * size[1]
    picture = Image.frombytes("RGB", size, bytes(length) if seed is None else Random(seed).randbytes(length))
    packed = lzw(picture)
    assert more_than_lzw(packed, length) == more_than_lzw(packed + bytes(3), length) == ""
    assert more_than_lzw(packed + SECRET, length) == "bytes behind the end"
    assert more_than_lzw(packed, length - 1) == "more than its pixels"


def test_lzw_codes_that_mean_nothing_are_refused() -> None:
    assert more_than_lzw(b"\x80\x3f\xff\xff\xff", 1000) == "unreadable stream"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100), st.integers(0, 1000))
def test_any_bytes_can_be_taken_for_packed_ones(data: bytes, most: int) -> None:
    for look in (more_than_lzw, more_than_deflate, more_than_plain):
        assert isinstance(look(data, most), str)


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=3000), st.binary(min_size=1, max_size=30))
def test_what_follows_a_deflated_stream_is_found(pixels: bytes, secret: bytes) -> None:
    packed = zlib.compress(pixels)
    assert more_than_deflate(packed + bytes(4), len(pixels)) == ""
    assert bool(more_than_deflate(packed + secret, len(pixels))) == bool(secret.strip(b"\0"))
    assert more_than_deflate(packed[:-1], len(pixels)) == "no end"
    assert more_than_deflate(zlib.compress(pixels + secret), len(pixels)) == "more than its pixels"


def test_a_bomb_is_not_inflated() -> None:
    assert more_than_deflate(zlib.compress(bytes(1 << 26)), 1000) == "more than its pixels"


@pytest.mark.parametrize("compression", [1, 5, 8, 32946])
def test_a_slide_whose_packed_tile_holds_more_is_refused(compression: int) -> None:
    packed = {1: PIXELS, 5: lzw(Image.frombytes("RGB", (TILE, TILE), PIXELS))}.get(compression, zlib.compress(PIXELS))
    assert refusal(packed, compression) == ""
    assert "bytes behind the end" in refusal(packed + SECRET, compression)


def test_a_deflated_tile_with_pixels_that_nobody_sees_is_refused() -> None:
    assert "more than its pixels" in refusal(zlib.compress(PIXELS + SECRET), 8)
