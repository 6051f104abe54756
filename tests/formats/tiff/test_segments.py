"""Metadata inside coded tiles is found: comments, Exif, XMP and previews; what encoders write of themselves passes."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from formats.checklist import plan_of
from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.segments import foreign_metadata
from writers.minimal import TILE, minimal_slide, tile_with_segment
from writers.tiff import UNDEFINED, Tag, TiffWriter, tissue_tile

APP0, APP1, APP2, APP13, APP14, COM = 0xFFE0, 0xFFE1, 0xFFE2, 0xFFED, 0xFFEE, 0xFFFE
J2K_COM = 0xFF64
PLAIN_ADOBE = b"Adobe\0d\0\0\0\0\1"
JFIF = b"JFIF\0\1\1\0\0\1\0\1"
INTEL = [
    b"Intel(R) JPEG Library, version 1",
    b"Intel(R) JPEG Library, version 1,5,4,36",
    b"Intel(R) JPEG Library, version [1.51.12.44].",
    b"Intel(R) IPP JPEG encoder [6.1.787]",
    b"Intel(R) IPP JPEG encoder [7.1.37466] - Sep 25 2012;\0",
]
INTEL_AND_A_NAME = [INTEL[1] + b" Featherstone", b"Intel(R) IPP JPEG encoder [6.1.787] - Ann 25 1961"]
LAYER_INFO = b"Kdu-Layer-Info: log_2{Delta-D(MSE)/[2^16*Delta-L(bytes)]}, L(bytes)\n-256.0, 1.4e+004\n"
LAYER_INFO_OF_LATER_VERSIONS = (
    b"Kdu-Layer-Info: log_2{Delta-D(squared-error)/Delta-L(bytes)}, L(bytes)\n-192.0,  3.8e+06\n -65.4,  6.8e+04\n"
)


def segment(marker: int, body: bytes) -> bytes:
    """A marker segment."""
    return struct.pack(">HH", marker, len(body) + 2) + body


def code_stream(*segments: bytes) -> bytes:
    """The beginning of a JPEG 2000 code-stream."""
    return b"\xff\x4f" + segment(0xFF51, bytes(40)) + b"".join(segments) + segment(0xFF90, bytes(8)) + b"\xff\x93pixels\xff\xd9"


def with_table_stream(stream: bytes) -> bytes:
    """A slide with shared JPEG tables."""

    def bend(_writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        return [*tags, (347, UNDEFINED, stream)]

    return minimal_slide(bend)


def refusal(data: bytes) -> str:
    """Why a slide is refused, or an empty string."""
    try:
        plan_of(data)
    except Permanent as refused:
        return refused.reason
    return ""


def test_a_plain_jpeg_has_nothing_foreign() -> None:
    assert foreign_metadata(tissue_tile(1, TILE)) == ""


def test_shared_tables_have_nothing_foreign() -> None:
    assert foreign_metadata(b"\xff\xd8" + segment(0xFFDB, bytes(65)) + segment(0xFFC4, bytes(30)) + b"\xff\xd9") == ""


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        (COM, b"Featherstone"),
        (COM, b"Kdu-Layer-Info: Featherstone"),
        (COM, b"Intel(R) JPEG Library, Featherstone"),
        (APP1, b"Exif\0\0MM\0*"),
        (APP1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),
        (APP2, b"ICC_PROFILE\0\1\1"),
        (APP13, b"Photoshop 3.0\0"),
        (0xFFEF, b"Featherstone"),
        (APP14, b"Adobe and Featherstone"),
        (APP0, b"JFIF\0\1\1\0\0\1\0\1\1\1abc"),
        (APP0, b"JFXX\0\x10 preview"),
        (0xFFF0, b"extension"),
        (APP0, b"JaneMirabella\0"),
        (APP0, b"JFIF\0\1\1\0Jane\0\0"),
        (APP0, b"JFIF\0JM\0\0\1\0\1\0\0"),
        (APP14, b"Jane Mirabel"),
        (APP14, b"Adobe\0d\0\0\0\0J"),
        (APP14, b"AdobeMirabel"),
    ],
)
def test_metadata_in_a_jpeg_tile_is_named_and_its_slide_refused(marker: int, body: bytes) -> None:
    tile = tile_with_segment(marker, body)
    assert foreign_metadata(tile) == f"JPEG segment {marker:04X}"
    assert refusal(minimal_slide(tiles=[tile])) == "metadata-in-tiles"


@pytest.mark.parametrize("body", [*INTEL, b"LEAD Technologies Inc. V1.01\0", b"Aperio Technologies Inc."])
def test_an_encoders_comment_about_itself_passes(body: bytes) -> None:
    assert foreign_metadata(tile_with_segment(COM, body)) == ""


@pytest.mark.parametrize(
    "body", [b"LEAD Technologies Inc. V1.01 for Featherstone", b"Featherstone Kakadu-v7.1", b"Aperio Featherstone", *INTEL_AND_A_NAME]
)
def test_more_than_an_encoders_comment_does_not_pass(body: bytes) -> None:
    assert foreign_metadata(tile_with_segment(COM, body)) != ""


def test_jfif_and_adobe_segments_in_their_plain_form_pass() -> None:
    assert foreign_metadata(tile_with_segment(APP14, PLAIN_ADOBE)) == ""
    assert foreign_metadata(b"\xff\xd8" + segment(APP0, JFIF + b"\0\0") + b"\xff\xd9") == ""


def test_exif_that_pillow_writes_is_found() -> None:
    exif = Image.Exif()
    exif[270] = "Featherstone"
    stream = io.BytesIO()
    Image.new("RGB", (TILE, TILE)).save(stream, "JPEG", exif=exif)
    assert foreign_metadata(stream.getvalue()) == "JPEG segment FFE1"


@pytest.mark.parametrize(
    "stream", [b"\xff\xd8", b"\xff\xd8\0\0\0\0", b"\xff\xd8" + segment(APP0, b"x" * 9)[:8], b"\xff\xd8\xff\xdb\0\1\0\0"]
)
def test_a_jpeg_header_that_cannot_be_read_is_foreign(stream: bytes) -> None:
    assert foreign_metadata(stream) == "unreadable header"


def test_a_jpeg_header_longer_than_what_is_read_of_it_is_refused() -> None:
    long_header = tissue_tile(1, TILE)[:2] + segment(0xFFDB, bytes(65000)) + tissue_tile(1, TILE)[2:]
    assert refusal(minimal_slide(tiles=[long_header])) == "metadata-in-tiles"


def test_a_plain_code_stream_has_nothing_foreign() -> None:
    assert foreign_metadata(code_stream(segment(0xFF52, bytes(10)), segment(0xFF5C, bytes(10)))) == ""


@pytest.mark.parametrize("comment", [b"Kakadu-v7.10.2", b"Created by OpenJPEG version 2.5.0", LAYER_INFO, LAYER_INFO_OF_LATER_VERSIONS])
def test_an_encoders_comment_in_a_code_stream_passes(comment: bytes) -> None:
    assert foreign_metadata(code_stream(segment(J2K_COM, b"\0\1" + comment))) == ""


@pytest.mark.parametrize(
    "foreign", [segment(J2K_COM, b"\0\1Featherstone"), segment(J2K_COM, b"\0\1" + LAYER_INFO + b"Jane"), segment(0xFF77, b"Featherstone")]
)
def test_metadata_in_a_code_stream_is_found_and_its_slide_refused(foreign: bytes) -> None:
    assert foreign_metadata(code_stream(foreign)).startswith("JPEG 2000 segment")
    assert refusal(minimal_slide(tiles=[code_stream(foreign)], compression=33005)) == "metadata-in-tiles"


def test_metadata_in_shared_tables_makes_the_slide_refused() -> None:
    assert refusal(with_table_stream(b"\xff\xd8" + segment(0xFFDB, bytes(65)) + b"\xff\xd9")) == ""
    assert refusal(with_table_stream(b"\xff\xd8" + segment(COM, b"Featherstone") + b"\xff\xd9")) == "metadata-in-tiles"


def test_tables_that_are_no_jpeg_make_the_slide_refused() -> None:
    assert refusal(with_table_stream(b"Featherstone^Aurelia, MRN-4711")) == "metadata-in-tiles"


def test_a_tile_in_the_boxes_of_a_jp2_file_makes_the_slide_refused() -> None:
    boxes = struct.pack(">I4sI", 12, b"jP  ", 0x0D0A870A) + struct.pack(">I4s", 28, b"xml ") + b"<n>Featherstone</n> "
    assert refusal(minimal_slide(tiles=[boxes + code_stream()], compression=33005)) == "metadata-in-tiles"


@pytest.mark.parametrize("text", [b"Featherstone", segment(0xFFDA, bytes(10)) + b"Featherstone"])
def test_more_than_tables_in_shared_tables_makes_the_slide_refused(text: bytes) -> None:
    tables = b"\xff\xd8" + segment(0xFFDB, bytes(65))
    assert refusal(with_table_stream(tables + b"\xff\xd9\0\0")) == ""
    assert refusal(with_table_stream(tables + b"\xff\xd9" + text)) == "metadata-in-tiles"
    assert refusal(with_table_stream(tables + text)) == "metadata-in-tiles"


def test_a_jpeg_tile_that_does_not_begin_as_one_makes_the_slide_refused() -> None:
    assert refusal(minimal_slide(tiles=[b"Featherstone" * 10])) == "metadata-in-tiles"


@pytest.mark.parametrize("place", [1, 9, 17])
def test_metadata_in_a_later_tile_makes_the_slide_refused(place: int) -> None:
    tiles = [tissue_tile(1, TILE)] * 18
    assert refusal(minimal_slide(tiles=tiles)) == ""
    tiles[place] = tile_with_segment(COM, b"Featherstone")
    assert refusal(minimal_slide(tiles=tiles)) == "metadata-in-tiles"


def test_a_comment_in_every_tile_of_many_but_the_first_makes_the_slide_refused() -> None:
    tiles = [tissue_tile(1, TILE), *([tile_with_segment(COM, b"Featherstone")] * 99)]
    assert refusal(minimal_slide(tiles=tiles)) == "metadata-in-tiles"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"\xff\xd8", b"\xff\x4f", b""]))
def test_any_bytes_can_be_looked_at(data: bytes, start: bytes) -> None:
    found = foreign_metadata(start + data)
    assert found in {"", "unreadable header"} or found.startswith("JPEG ")


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([APP1, APP2, APP13, COM]), st.text("Featherstone 4711", max_size=40), st.integers(0, 3))
def test_a_foreign_segment_is_found_wherever_in_the_header_it_stands(marker: int, text: str, place: int) -> None:
    tables = [segment(0xFFDB, bytes(65)), segment(0xFFC4, bytes(30)), segment(0xFFC0, bytes(15))]
    tables.insert(place, segment(marker, text.encode()))
    assert foreign_metadata(b"\xff\xd8" + b"".join(tables) + segment(0xFFDA, bytes(10)) + b"pixels") == f"JPEG segment {marker:04X}"
