"""Sees that coded tiles hold pixels and nothing else: a sample of them to the last byte before anything is written, all while they are.

What this proves: shared tables hold nothing but tables; of every image the first, the last and up to 16 tiles between are what their
compression's grammar allows, from first byte to last; and every single JPEG and JPEG 2000 tile has a header without foreign segments
and ends with the marker of its end. What it does not prove, of tiles outside the sample: what stands between the scans of one
picture, or behind the end of a stream without markers (deflate, LZW). There only the search for every removed value guards the result.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.image import Image, Ranges, chunk_bytes
from slidekeeper.formats.tiff.packed import PACKED
from slidekeeper.formats.tiff.reading import Tiff
from slidekeeper.formats.tiff.segments import END, TILE_STARTS, Header, ends_well, foreign_behind, foreign_in_tables, header_of
from slidekeeper.formats.tiff.windows import spread
from slidekeeper.model.splice import Content

TILE_SAMPLES = 18
"""Tiles of an image that are read whole: first, last, and 16 between."""

LONGEST_SAMPLE = 16 << 20
"""Bytes of a tile that are read whole; of a longer one, header and end are seen while it is written."""

HEADER_BYTES = 16384
"""No header of a tile is longer."""

PADDING_BYTES = 4096
"""No more zeros may follow the end of a picture."""


class Headers:
    """Reads tiles' headers. Tiles are many and their headers few: one that was found clean is compared, not parsed."""

    def __init__(self) -> None:
        self._clean: dict[str, bytes] = {}

    def of(self, start: bytes, compression: str) -> Header:
        """The header of a tile that begins like this."""
        clean = self._clean.get(compression)
        if clean and start.startswith(clean):
            return Header("", len(clean))
        header = header_of(start[:HEADER_BYTES], compression)
        if not header.fault:
            self._clean[compression] = start[: header.length]
        return header

    def known(self, compression: str) -> bytes:
        """The header that was found clean last, or nothing."""
        return self._clean.get(compression, b"")


def foreign_in_samples(tiff: Tiff, image: Image) -> str:
    """What does not belong into the sampled tiles of an image, or an empty string."""
    most = chunk_bytes(tiff, image) if image.compression in PACKED else 0
    headers, found = Headers(), ""
    for start, end in spread(image.ranges, TILE_SAMPLES).tolist():
        tile = tiff.source.read_at(start, min(end - start, LONGEST_SAMPLE))
        found = found or (
            _more_than_packed(tile, image.compression, most) if most else _foreign_in_marked(tile, image.compression, headers)
        )
    return found


def _more_than_packed(tile: bytes, compression: str, most: int) -> str:
    return PACKED[compression](tile, most) if len(tile) < LONGEST_SAMPLE else ""


def _foreign_in_marked(tile: bytes, compression: str, headers: Headers) -> str:
    header = headers.of(tile, compression)
    return header.fault or (foreign_behind(tile, header, compression) if len(tile) < LONGEST_SAMPLE else "")


class TileInspection:
    """Implements :class:`slidekeeper.model.splice.Inspection`: header and end of every tile with markers, as they are written."""

    def __init__(self, images: Iterable[Image]) -> None:
        """``images`` are kept with every tile at its offset."""
        marked = [(image.ranges, image.compression) for image in images if image.compression in TILE_STARTS]
        tiles = {(start, end): compression for ranges, compression in marked for start, end in _pairs(ranges)}
        self._tiles = sorted((start, end, compression) for (start, end), compression in tiles.items())
        self._next = 0
        self._at = 0
        self._headers = Headers()
        self._head, self._tail = b"", b""
        self._fault = ""

    def feed(self, span: memoryview, content: Content) -> None:
        """Look at the tiles that lie in the next span, which need not hold all of the first and the last."""
        begin, end = self._at, self._at + len(span)
        self._at = end
        while self._next < len(self._tiles) and self._tiles[self._next][0] < end:
            start, stop, compression = self._tiles[self._next]
            self._look(span[max(0, start - begin) : stop - begin], compression, start >= begin, stop <= end)
            if stop > end:
                return
            self._next += 1

    def fault(self) -> str:
        """What does not belong where it stands, of the first tile that has such a thing, or an empty string."""
        return self._fault or ("" if self._next == len(self._tiles) else "no end")

    def _look(self, part: memoryview, compression: str, begins: bool, ends: bool) -> None:
        """Look at a tile's next part, which is all of it in most cases."""
        if not begins:
            self._head = (self._head + part[:HEADER_BYTES])[:HEADER_BYTES]
            self._tail = (self._tail + part[-PADDING_BYTES:])[-PADDING_BYTES:]
        elif ends and bytes(part[-2:]) == END and self._is_known(part, compression):
            return
        else:
            self._head, self._tail = bytes(part[:HEADER_BYTES]), bytes(part[-PADDING_BYTES:])
        if ends:
            self._judge(compression)

    def _is_known(self, part: memoryview, compression: str) -> bool:
        known = self._headers.known(compression)
        return bool(known) and bytes(part[: len(known)]) == known

    def _judge(self, compression: str) -> None:
        header = self._headers.of(self._head, compression)
        self._fault = self._fault or header.fault or ("" if ends_well(self._tail) else "bytes behind the end")


def _pairs(ranges: Ranges) -> Iterable[tuple[int, int]]:
    return map(tuple, np.unique(ranges, axis=0).tolist())


def check_tables(tables: bytes) -> None:
    """Refuse shared JPEG tables that hold more than tables.

    Raises:
        Permanent: ``metadata-in-tiles``.
    """
    _refuse(foreign_in_tables(tables))


def check_samples(tiff: Tiff, images: Iterable[Image]) -> None:
    """Refuse tiles that hold more than pixels, as far as the sample shows.

    Raises:
        Permanent: ``metadata-in-tiles``.
    """
    for image in images:
        _refuse(foreign_in_samples(tiff, image))


def _refuse(found: str) -> None:
    if found:
        raise Permanent("metadata-in-tiles", f"coded pixels carry more than pixels ({found})")
