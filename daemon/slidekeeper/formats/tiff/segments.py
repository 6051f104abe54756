"""Looks for metadata inside coded tiles: a JPEG or JPEG 2000 stream may carry comments, Exif and XMP of its own.

Tiles are never re-encoded, so a tile with foreign metadata cannot be cleaned: the slide is refused.

What this proves: shared tables hold nothing but tables, to their last byte; and of every level the first, the last and up to 16
tiles spread between, as far as these are looked at, have headers without foreign segments. A scanner that writes comments of its
own writes them into every tile, and is found. What it does not prove: that no single tile among those not looked at has a
comment, and nothing about what stands behind a tile's header (between scans, in headers of JPEG 2000 tile-parts, behind the
picture's end). There only the search for every removed value guards the result.

Source: ITU-T T.81 Annex B (JPEG markers); ITU-T T.800 Annex A (JPEG 2000 code-stream markers).
"""

from __future__ import annotations

import re
import struct

START_OF_IMAGE, START_OF_SCAN, END_OF_IMAGE = 0xFFD8, 0xFFDA, 0xFFD9
FIRST_MARKER, LENGTH_BYTES = 0xFF01, 2
JPEG_TABLE_MARKERS = frozenset(
    {0xFFDB, 0xFFC4, 0xFFDD, *range(0xFFC0, 0xFFC4), *range(0xFFC5, 0xFFC8), *range(0xFFC9, 0xFFCC), *range(0xFFCD, 0xFFD0)}
)
"""Quantization and Huffman tables, restart interval, frame headers."""

JFIF, ADOBE, COMMENT = 0xFFE0, 0xFFEE, 0xFFFE
JFIF_LENGTH, ADOBE_LENGTH = 16, 14
"""Length of the segments in their plain form, without a preview image or private data behind."""

J2K_START, J2K_COMMENT, J2K_TILE_PART, J2K_FIRST = 0xFF4F, 0xFF64, 0xFF90, 0xFF51
TILE_STARTS = dict.fromkeys(("jpeg", "jpeg-old"), (b"\xff\xd8", "JPEG")) | {"jpeg2000": (b"\xff\x4f", "JPEG 2000")}
"""By compression: how every tile begins, and the name of such a stream."""

J2K_MAIN_MARKERS = frozenset({0xFF50, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF57, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61, 0xFF63})

ENCODER_COMMENTS = re.compile(
    rb"Kakadu-v?[\d.]+|Kdu-Layer-Info:[\x20-\x7e\n\r]*|Created by OpenJPEG version [\d.]+|Aperio( Technologies)?( Inc\.?)?"
    rb"|Intel\(R\) (JPEG Library|IPP JPEG encoder)[^\n]{0,40}|LEAD Technologies Inc\. V[\d.]+"
    rb"|CREATOR: gd-jpeg v[\d.]+ \(using IJG JPEG v\d+\), quality = \d+\n?"
)
"""Comments by which encoders name themselves; any other comment may name somebody."""


def foreign_in_tile(stream: bytes, compression: str) -> str:
    """What is wrong with the beginning of a tile of this compression, or an empty string; JP2 files with boxes are no code-streams."""
    begin, name = TILE_STARTS.get(compression, (b"", ""))
    return foreign_metadata(stream) if stream.startswith(begin) else f"no bare {name} stream"


def foreign_in_tables(stream: bytes) -> str:
    """What is wrong with shared JPEG tables, or an empty string. They are read to the end: no scan, and nothing behind their end."""
    if int.from_bytes(stream[:2], "big") != START_OF_IMAGE:
        return "tables that are no JPEG"
    segments = _segments(stream, 2)
    if segments is None:
        return "unreadable header"
    behind = 2 + sum(4 + len(body) for _, body in segments)
    if stream[behind : behind + 2] != b"\xff\xd9" or stream[behind + 2 :].strip(b"\0"):
        return "more than tables"
    return _foreign_in_jpeg(stream)


def foreign_metadata(stream: bytes) -> str:
    """The name of the first segment in a coded tile's header that does not belong there, or an empty string.

    ``stream`` is the beginning of the tile; what is neither JPEG nor JPEG 2000 has no segments.
    """
    start = int.from_bytes(stream[:2], "big")
    if start == START_OF_IMAGE:
        return _foreign_in_jpeg(stream)
    if start == J2K_START:
        return _foreign_in_jpeg2000(stream)
    return ""


def scan_start(stream: bytes) -> int:
    """Where the first scan's data of a JPEG begin, behind its tables and their headers; 0 where ``stream`` is none or ends before."""
    if int.from_bytes(stream[:2], "big") != START_OF_IMAGE:
        return 0
    segments = _segments(stream, 2)
    if segments is None:
        return 0
    at = 2 + sum(4 + len(body) for _, body in segments)
    marker, length = struct.unpack_from(">HH", stream.ljust(at + 4, b"\0"), at)
    return at + 2 + length if marker == START_OF_SCAN else 0


def _segments(stream: bytes, at: int) -> list[tuple[int, bytes]] | None:
    """Marker segments from ``at`` up to the coded data, or None where the header does not end within ``stream``."""
    found: list[tuple[int, bytes]] = []
    while at + 4 <= len(stream):
        marker, length = struct.unpack_from(">HH", stream, at)
        if marker in (START_OF_SCAN, J2K_TILE_PART):
            return found
        if marker == END_OF_IMAGE:
            return found
        if marker < FIRST_MARKER or length < LENGTH_BYTES or at + 2 + length > len(stream):
            return None
        found.append((marker, stream[at + 4 : at + 2 + length]))
        at += 2 + length
    return found if stream[at : at + 2] == b"\xff\xd9" else None


def _foreign_in_jpeg(stream: bytes) -> str:
    segments = _segments(stream, 2)
    if segments is None:
        return "unreadable header"
    for marker, body in segments:
        plain = marker in JPEG_TABLE_MARKERS or (marker == JFIF and len(body) + 2 == JFIF_LENGTH and body[-2:] == b"\0\0")
        plain = plain or (marker == ADOBE and len(body) + 2 == ADOBE_LENGTH) or (marker == COMMENT and _is_encoder(body))
        if not plain:
            return f"JPEG segment {marker:04X}"
    return ""


def _foreign_in_jpeg2000(stream: bytes) -> str:
    segments = _segments(stream, 2)
    if segments is None:
        return "unreadable header"
    for marker, body in segments:
        if marker not in J2K_MAIN_MARKERS and not (marker == J2K_COMMENT and _is_encoder(body[2:])):
            return f"JPEG 2000 segment {marker:04X}"
    return ""


def _is_encoder(comment: bytes) -> bool:
    return ENCODER_COMMENTS.fullmatch(comment.rstrip(b"\0")) is not None
