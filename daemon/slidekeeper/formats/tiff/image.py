"""A directory seen as an image: its geometry, its coded ranges, and how it is recognized as a pyramid's level.

Source: TIFF 6.0 sections 8 "Baseline fields", 15 "Tiled images"; TIFF Technical Note 1 (1995) for sub-directories.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.reading import INTEGER_CODES, Directory, Entry, Tiff
from slidekeeper.model.slide import Level

NEW_SUBFILE_TYPE = 254
WIDTH, HEIGHT, BITS, COMPRESSION, SAMPLES, PLANAR = 256, 257, 258, 259, 277, 284
STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES = 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
JPEG_TABLES = 347

COMPRESSIONS = {
    1: "none",
    5: "lzw",
    6: "jpeg-old",
    7: "jpeg",
    8: "deflate",
    32946: "deflate",
    33003: "jpeg2000",
    33004: "jpeg2000",
    33005: "jpeg2000",
    34712: "jpeg2000",
}
SEPARATE_PLANES = 2
MOST_BITS, MOST_SAMPLES = 64, 64
MAX_PIXELS_ASIDE = 1 << 31

Ranges: TypeAlias = NDArray[np.int64]
"""Shape (n, 2): beginning and end of coded ranges, in bytes, empty ones left out."""


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One image of a slide file."""

    directory: Directory
    width: int
    height: int
    tile_width: int
    """0 for an image of strips."""
    tile_height: int
    subfile_type: int
    compression: str
    ranges: Ranges
    chunks: int
    """Number of tiles or strips, empty ones included."""

    @property
    def tiled(self) -> bool:
        """Whether it is made of tiles."""
        return self.tile_width > 0

    @property
    def level(self) -> Level:
        """Its geometry as a pyramid level."""
        return Level(width=self.width, height=self.height, tile_width=self.tile_width, tile_height=self.tile_height)

    def has_shape_of(self, other: Image) -> bool:
        """Whether it shows the same area at a lower resolution.

        Some scale must make both sides, up to one pixel of rounding at its own size; or the aspect ratio differs by half a percent.
        """
        if self.width > other.width or self.height > other.height:
            return False
        wide, high = other.width * (self.height - 1), other.height * (self.width - 1)
        rounded = wide <= other.height * (self.width + 1) and high <= other.width * (self.height + 1)
        return rounded or abs(other.height * self.width / other.width - self.height) <= self.height * 0.005


def read_image(tiff: Tiff, directory: Directory) -> Image:
    """Interpret a directory.

    Raises:
        Permanent: ``malformed-tiff`` or ``truncated``.
    """
    geometry = _Geometry(tiff, directory)
    offsets_tag, bytes_tag = (TILE_OFFSETS, TILE_BYTES) if geometry.tile_width else (STRIP_OFFSETS, STRIP_BYTES)
    offsets, lengths = geometry.array(offsets_tag), geometry.array(bytes_tag)
    if len(offsets) != len(lengths) or len(offsets) != geometry.chunks:
        raise Permanent(
            "malformed-tiff", f"an image of {geometry.chunks} tiles or strips lists {len(offsets)} offsets and {len(lengths)} lengths"
        )
    ranges = np.stack([offsets, offsets + lengths], axis=1)[lengths > 0]
    if len(ranges) and (int(ranges.min()) < 0 or int(ranges.max()) > tiff.source.size):
        raise Permanent("truncated", "tiles or strips lie past the end of the file")
    return Image(
        directory,
        geometry.width,
        geometry.height,
        geometry.tile_width,
        geometry.tile_height,
        geometry.number(NEW_SUBFILE_TYPE, 0),
        COMPRESSIONS.get(geometry.number(COMPRESSION, 1), "unknown"),
        ranges,
        geometry.chunks,
    )


def chunk_bytes(tiff: Tiff, image: Image) -> int:
    """Bytes of a tile's or strip's pixels before they are coded; the last strip may have fewer.

    Raises:
        Permanent: ``malformed-tiff``: its numbers of samples or bits cannot be.
    """
    geometry = _Geometry(tiff, image.directory)
    samples = 1 if geometry.number(PLANAR, 1) == SEPARATE_PLANES else geometry.number(SAMPLES, 1)
    entry = image.directory.entry(BITS)
    bits = max(tiff.integers(entry), default=1) if entry else 1
    if bits > MOST_BITS or samples > MOST_SAMPLES:
        raise Permanent("malformed-tiff", f"an image of {samples} samples of {bits} bits")
    rows = image.tile_height or min(geometry.number(ROWS_PER_STRIP, image.height) or image.height, image.height)
    return -(-(image.tile_width or image.width) * samples * bits // 8) * rows


class _Geometry:
    """Reads the numbers that say how an image is cut up."""

    def __init__(self, tiff: Tiff, directory: Directory) -> None:
        self._tiff = tiff
        self._directory = directory
        self.width, self.height = self._positive(WIDTH), self._positive(HEIGHT)
        self.tile_width = self._positive(TILE_WIDTH) if directory.entry(TILE_WIDTH) else 0
        self.tile_height = self._positive(TILE_HEIGHT) if self.tile_width else 0

    @property
    def chunks(self) -> int:
        """Number of tiles or strips."""
        planes = self.number(SAMPLES, 1) if self.number(PLANAR, 1) == SEPARATE_PLANES else 1
        if self.tile_width:
            return planes * -(-self.width // self.tile_width) * -(-self.height // self.tile_height)
        rows = self.number(ROWS_PER_STRIP, self.height) or self.height
        return planes * -(-self.height // min(rows, self.height))

    def number(self, tag: int, default: int) -> int:
        """A single number, or its default."""
        entry = self._directory.entry(tag)
        if entry is None:
            return default
        if entry.count != 1:
            raise Permanent("malformed-tiff", f"tag {tag} has {entry.count} values instead of one")
        return self._tiff.integers(entry)[0]

    def array(self, tag: int) -> NDArray[np.int64]:
        """Offsets or lengths."""
        entry = self._directory.entry(tag)
        if entry is None or entry.type not in INTEGER_CODES:
            raise Permanent("malformed-tiff", f"tag {tag} is missing or no list of numbers")
        return _integers(self._tiff, entry)

    def _positive(self, tag: int) -> int:
        value = self.number(tag, 0)
        if not 0 < value < MAX_PIXELS_ASIDE:
            raise Permanent("malformed-tiff", f"tag {tag} is missing or out of range")
        return value


def _integers(tiff: Tiff, entry: Entry) -> NDArray[np.int64]:
    kind = np.dtype(f"{tiff.dialect.order}{ {'B': 'u1', 'H': 'u2', 'I': 'u4', 'Q': 'u8'}[INTEGER_CODES[entry.type]] }")
    values = np.frombuffer(tiff.value(entry), kind)
    if len(values) and values.max() > np.iinfo(np.int64).max // 2:
        raise Permanent("truncated", "tiles or strips lie past the end of the file")
    return values.astype(np.int64)
