"""Sees that coded tiles hold pixels and nothing else: a sample of them to the last byte before anything is written, all while they are.

What this proves: shared tables hold nothing but tables; of every image the first, the last and up to 16 tiles between are what their
compression's grammar allows, from first byte to last; and every single JPEG and JPEG 2000 tile has a header without foreign segments
and ends with the marker of its end. What it does not prove, of tiles outside the sample: what stands between the scans of one
picture, or behind the end of a stream without markers (deflate, LZW). There only the search for every removed value guards the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.image import Image, Ranges, chunk_bytes
from slidekeeper.formats.tiff.packed import PACKED
from slidekeeper.formats.tiff.reading import Tiff
from slidekeeper.formats.tiff.segments import END, TILE_STARTS, Header, ends_well, foreign_behind, foreign_in_tables, header_of
from slidekeeper.formats.tiff.windows import spread
from slidekeeper.model.splice import Content

Offsets: TypeAlias = NDArray[np.int64]
"""Within a span; before its beginning, of a tile that began in an earlier one."""

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

    def __init__(self, images: Sequence[Image]) -> None:
        """``images`` are kept with every tile at its offset."""
        coded = {image.compression for image in images if image.compression in TILE_STARTS and len(image.ranges)}
        self._streams = [
            _Tiles(compression, np.concatenate([image.ranges for image in images if image.compression == compression]))
            for compression in sorted(coded)
        ]
        self._at = 0

    def feed(self, span: memoryview, content: Content) -> None:
        """Look at the tiles that lie in the next span, which need not hold all of the first and the last."""
        for tiles in self._streams:
            tiles.feed(span, self._at)
        self._at += len(span)

    def fault(self) -> str:
        """What does not belong where it stands, of the first tile that has such a thing, or an empty string."""
        return next((tiles.fault() for tiles in self._streams if tiles.fault()), "")


class _Tiles:
    """All tiles of one compression, in the order in which they are written."""

    def __init__(self, compression: str, ranges: Ranges) -> None:
        ordered = ranges[np.argsort(ranges[:, 0], kind="stable")]
        other = np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))
        self._starts, self._stops = ordered[other].T
        self._compression = compression
        self._headers = Headers()
        self._next = 0
        self._head, self._tail = b"", b""
        self._fault = ""

    def feed(self, span: memoryview, begin: int) -> None:
        """Look at a span that begins there: most tiles have the usual header and end, and are seen all at once."""
        behind = int(np.searchsorted(self._starts, begin + len(span)))
        starts, stops = self._starts[self._next : behind] - begin, self._stops[self._next : behind] - begin
        if not len(starts):
            return
        first = self._looks(span, starts[:1], stops[:1])
        usual = np.append(first, self._usual(span, starts[1:], stops[1:]))
        self._looks(span, starts[~usual], stops[~usual])
        self._next = behind - int(stops[-1] > len(span))

    def fault(self) -> str:
        """Of the first tile that has one; a tile that did not come has no end."""
        return self._fault or ("" if self._next == len(self._starts) else "no end")

    def _usual(self, span: memoryview, starts: Offsets, stops: Offsets) -> NDArray[np.bool_]:
        """Which tiles lie whole in the span, begin with the header found clean last, and end with the marker of their end."""
        data, known = np.frombuffer(span, np.uint8), np.frombuffer(self._headers.known(self._compression), np.uint8)
        whole = (stops <= len(data)) & (stops - starts >= len(known) + len(END)) & (len(known) > 0)
        if whole.any():
            headers = sliding_window_view(data, len(known))[starts[whole]]
            end = stops[whole]
            whole[whole] = (headers == known).all(axis=1) & (data[end - 2] == END[0]) & (data[end - 1] == END[1])
        return whole

    def _looks(self, span: memoryview, starts: Offsets, stops: Offsets) -> bool:
        """Look at tiles one by one."""
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            self._look(span[max(0, start) : stop], begins=start >= 0, ends=stop <= len(span))
        return True

    def _look(self, part: memoryview, begins: bool, ends: bool) -> None:
        """Look at a tile's next part, which is all of it in most cases."""
        before = (b"", b"") if begins else (self._head, self._tail)
        self._head = (before[0] + part[:HEADER_BYTES])[:HEADER_BYTES]
        self._tail = (before[1] + part[-PADDING_BYTES:])[-PADDING_BYTES:]
        if ends:
            header = self._headers.of(self._head, self._compression)
            self._fault = self._fault or header.fault or ("" if ends_well(self._tail) else "bytes behind the end")


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
