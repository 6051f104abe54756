"""Looks for metadata inside coded tiles: a JPEG or JPEG 2000 stream may carry comments, Exif and XMP of its own.

Tiles are never re-encoded, so a tile with foreign metadata cannot be cleaned: the slide is refused. A stream is read by its grammar
in two depths: its header alone, or all of it, to the marker that ends the picture, behind which only zeros may stand. What no
grammar can see is what a decoder skips between the last coded pixel and that marker; the search guards there.

Source: ITU-T T.81 Annex B (JPEG markers), T.871 (JFIF), T.872 section 6.5.3 (Adobe's marker); ITU-T T.800 Annex A (JPEG 2000 markers).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

START_OF_IMAGE, START_OF_SCAN, END_OF_IMAGE = 0xFFD8, 0xFFDA, 0xFFD9
FIRST_MARKER, LENGTH_BYTES = 0xFF01, 2
JPEG_TABLE_MARKERS = frozenset(
    {0xFFDB, 0xFFC4, 0xFFDD, *range(0xFFC0, 0xFFC4), *range(0xFFC5, 0xFFC8), *range(0xFFC9, 0xFFCC), *range(0xFFCD, 0xFFD0)}
)
"""Quantization and Huffman tables, restart interval, frame headers."""

JPEG_BETWEEN_SCANS = frozenset({0xFFDB, 0xFFC4, 0xFFCC, 0xFFDC, 0xFFDD})
"""Tables and the number of lines, which may stand between the scans of one picture."""

JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A marker among coded pixels, where zero bytes are stuffed behind 255 and restart markers may stand."""

JFIF, ADOBE, COMMENT = 0xFFE0, 0xFFEE, 0xFFFE
PLAIN_JFIF = re.compile(rb"JFIF\0\x01[\x00-\x02][\x00-\x02](..)\1\0\0", re.DOTALL)
"""Version 1.0 to 1.2, a unit, one density for both directions, no preview image."""

PLAIN_ADOBE = re.compile(rb"Adobe\0[def](\0\0|\x40\0|\x80\0|\xc0\0)\0\0[\x00-\x02]")
"""Version 100 to 102, the flags that encoders set, a colour transform."""

J2K_START, J2K_COMMENT, J2K_TILE_PART, J2K_FIRST, J2K_DATA = 0xFF4F, 0xFF64, 0xFF90, 0xFF51, 0xFF93
J2K_MAIN_MARKERS = frozenset({0xFF50, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF57, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61, 0xFF63})
J2K_TILE_MARKERS = frozenset({0xFF52, 0xFF53, 0xFF58, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF61})
TILE_PART_BYTES = 12
"""Of the segment that begins a tile-part, marker included; the tile-part's length stands at byte 6."""

END = b"\xff\xd9"
"""How both JPEG and JPEG 2000 end a picture."""

TILE_STARTS = dict.fromkeys(("jpeg", "jpeg-old"), (b"\xff\xd8", "JPEG")) | {"jpeg2000": (b"\xff\x4f", "JPEG 2000")}
"""By compression: how every tile begins, and the name of such a stream."""

VERSION = rb"\d{1,3}([.,]\d{1,5}){0,3}"
ENCODER_COMMENTS = re.compile(
    rb"Kakadu-v?" + VERSION + rb"|Created by OpenJPEG version " + VERSION + rb"|LEAD Technologies Inc\. V" + VERSION + rb"|"
    rb"Kdu-Layer-Info: log_2\{Delta-D\((MSE\)/\[2\^16\*Delta-L\(bytes\)\]|squared-error\)/Delta-L\(bytes\))\}, L\(bytes\)\n"
    rb"( {0,4}-?\d{1,3}\.\d, {1,4}\d\.\de[+-]\d{2,3}\n){0,64}|"
    rb"Aperio( Technologies)?( Inc\.?)?|"
    rb"Intel\(R\) JPEG Library, version (" + VERSION + rb"|\[" + VERSION + rb"\]\.?)|"
    rb"Intel\(R\) IPP JPEG encoder \[" + VERSION + rb"\]( - (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d{4})?;?|"
    rb"CREATOR: gd-jpeg v" + VERSION + rb" \(using IJG JPEG v\d{2}\), (default quality|quality = \d{1,3})\n?"
)
"""Comments by which encoders name themselves; any other comment may name somebody."""


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a coded picture: what is wrong with it, or an empty string; and its bytes up to the first coded pixel."""

    fault: str
    length: int = 0


def foreign_in_tables(stream: bytes) -> str:
    """What is wrong with shared JPEG tables, or an empty string. They are read to the end: no scan, and nothing behind their end."""
    if int.from_bytes(stream[:2], "big") != START_OF_IMAGE:
        return "tables that are no JPEG"
    segments = _segments(stream, 2)
    if segments is None:
        return "unreadable header"
    behind = 2 + _length(segments)
    if stream[behind : behind + 2] != END or stream[behind + 2 :].strip(b"\0"):
        return "more than tables"
    return _foreign_in_jpeg(segments)


def foreign_metadata(stream: bytes) -> str:
    """The name of the first segment in a coded tile's header that does not belong there, or an empty string.

    ``stream`` is the beginning of the tile; what is neither JPEG nor JPEG 2000 has no segments.
    """
    return header_of(stream).fault


def header_of(stream: bytes, compression: str = "") -> Header:
    """The header of a tile, of which ``stream`` is the beginning.

    With a compression the tile must begin as such a stream; JP2 files with boxes are no code-streams.
    """
    begin, name = TILE_STARTS.get(compression, (b"", ""))
    if not stream.startswith(begin):
        return Header(f"no bare {name} stream")
    start = int.from_bytes(stream[:2], "big")
    if start not in (START_OF_IMAGE, J2K_START):
        return Header("")
    segments = _segments(stream, 2)
    if segments is None:
        return Header("unreadable header")
    at = 2 + _length(segments)
    if start == J2K_START:
        return Header(_foreign_in_jpeg2000(segments), at)
    marker, length = struct.unpack_from(">HH", stream.ljust(at + 4, b"\0"), at)
    return Header(_foreign_in_jpeg(segments), at + 2 + length if marker == START_OF_SCAN else at)


def scan_start(stream: bytes) -> int:
    """Where the first scan's data of a JPEG begin, behind its tables and their headers; 0 where ``stream`` is none or ends before."""
    header = header_of(stream)
    is_scan = stream.startswith(b"\xff\xd8") and stream[header.length : header.length + 2] != END
    return header.length if is_scan else 0


def foreign_behind(stream: bytes, header: Header, compression: str) -> str:
    """What is wrong behind the header of a whole tile, or an empty string."""
    return _behind_tile_parts(stream, header.length) if compression == "jpeg2000" else _behind_scans(stream, header.length)


def ends_well(tail: bytes) -> bool:
    """Whether the last bytes of a tile are the end of a picture; zeros may pad it."""
    return tail.endswith(END) or tail.rstrip(b"\0").endswith(END)


def _behind_scans(stream: bytes, at: int) -> str:
    """Walk from scan to scan of a JPEG to its end."""
    while marked := JPEG_MARKER.search(stream, at):
        at = marked.end()
        marker = 0xFF00 | marked.group()[1]
        if marker == END_OF_IMAGE:
            return "bytes behind the end" if stream[at:].strip(b"\0") else ""
        if marker not in JPEG_BETWEEN_SCANS and marker != START_OF_SCAN:
            return f"JPEG segment {marker:04X}"
        at += int.from_bytes(stream[at : at + 2], "big")
    return "no end"


def _behind_tile_parts(stream: bytes, at: int) -> str:
    """Walk from tile-part to tile-part of a JPEG 2000 code-stream to its end."""
    while stream[at : at + 2] != END:
        if len(stream) < at + TILE_PART_BYTES or int.from_bytes(stream[at : at + 2], "big") != J2K_TILE_PART:
            return "no end"
        segments = _segments(stream, at + TILE_PART_BYTES, J2K_DATA)
        if segments is None:
            return "unreadable header"
        fault = _foreign_in_jpeg2000(segments, J2K_TILE_MARKERS)
        length = int.from_bytes(stream[at + 6 : at + 10], "big")
        if fault or length == 0:
            return fault or ("" if ends_well(stream) else "no end")
        at += max(length, TILE_PART_BYTES)
    return "bytes behind the end" if stream[at + 2 :].strip(b"\0") else ""


def _length(segments: list[tuple[int, bytes]]) -> int:
    return sum(4 + len(body) for _, body in segments)


def _segments(stream: bytes, at: int, end: int = J2K_TILE_PART) -> list[tuple[int, bytes]] | None:
    """Marker segments from ``at`` up to the coded data, or None where the header does not end within ``stream``."""
    found: list[tuple[int, bytes]] = []
    while at + 4 <= len(stream):
        marker, length = struct.unpack_from(">HH", stream, at)
        if marker in (START_OF_SCAN, end, END_OF_IMAGE):
            return found
        if marker < FIRST_MARKER or length < LENGTH_BYTES or at + 2 + length > len(stream):
            return None
        found.append((marker, stream[at + 4 : at + 2 + length]))
        at += 2 + length
    return found if stream[at : at + 2] == END else None


def _foreign_in_jpeg(segments: list[tuple[int, bytes]]) -> str:
    for marker, body in segments:
        plain = marker in JPEG_TABLE_MARKERS or (marker == JFIF and PLAIN_JFIF.fullmatch(body))
        plain = plain or (marker == ADOBE and PLAIN_ADOBE.fullmatch(body)) or (marker == COMMENT and _is_encoder(body))
        if not plain:
            return f"JPEG segment {marker:04X}"
    return ""


def _foreign_in_jpeg2000(segments: list[tuple[int, bytes]], plain: frozenset[int] = J2K_MAIN_MARKERS) -> str:
    for marker, body in segments:
        if marker not in plain and not (marker == J2K_COMMENT and body[:2] == b"\0\1" and _is_encoder(body[2:])):
            return f"JPEG 2000 segment {marker:04X}"
    return ""


def _is_encoder(comment: bytes) -> bool:
    return ENCODER_COMMENTS.fullmatch(comment.rstrip(b"\0")) is not None
