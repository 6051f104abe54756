"""Writes TIFF and BigTIFF byte by byte, in both byte orders, as scanners do: pixels first, the directory behind them."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import Image, ImageDraw

BYTE, SHORT, LONG, ASCII, RATIONAL, UNDEFINED, LONG8 = 1, 3, 4, 2, 5, 7, 16
SIZES = {BYTE: 1, SHORT: 2, LONG: 4, ASCII: 1, RATIONAL: 8, UNDEFINED: 1, LONG8: 8}

Value: TypeAlias = "bytes | Sequence[int]"
Tag: TypeAlias = "tuple[int, int, Value]"


@dataclass
class TiffWriter:
    """Appends images to a stream and links their directories."""

    stream: BinaryIO
    order: str = "<"
    big: bool = False
    _link: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        mark = b"II" if self.order == "<" else b"MM"
        if self.big:
            self.stream.write(mark + struct.pack(self.order + "HHHQ", 43, 8, 0, 0))
            self._link = 8
        else:
            self.stream.write(mark + struct.pack(self.order + "HI", 42, 0))
            self._link = 4

    def blob(self, data: bytes) -> int:
        """Append bytes and return their offset."""
        offset = self.stream.tell()
        self.stream.write(data)
        return offset

    def directory(self, tags: Sequence[Tag], link: bool = True) -> int:
        """Append a directory; with ``link`` the chain goes on to it. Returns its offset."""
        entries = b"".join(self._entry(*tag) for tag in sorted(tags, key=lambda tag: tag[0]))
        if self.stream.tell() % 2:
            self.stream.write(b"\0")
        count = struct.pack(self.order + ("Q" if self.big else "H"), len(tags))
        offset = self.blob(count + entries + struct.pack(self._offset, 0))
        if link:
            self._point(self._link, offset)
            self._link = offset + len(count) + len(entries)
        return offset

    @property
    def _offset(self) -> str:
        return self.order + ("Q" if self.big else "I")

    def _point(self, at: int, offset: int) -> None:
        end = self.stream.tell()
        self.stream.seek(at)
        self.stream.write(struct.pack(self._offset, offset))
        self.stream.seek(end)

    def _entry(self, tag: int, kind: int, value: Value) -> bytes:
        data, count = self._packed(kind, value)
        room = 8 if self.big else 4
        head = struct.pack(self.order + ("HHQ" if self.big else "HHI"), tag, kind, count)
        if len(data) <= room:
            return head + data.ljust(room, b"\0")
        return head + struct.pack(self._offset, self.blob(data))

    def _packed(self, kind: int, value: Value) -> tuple[bytes, int]:
        if isinstance(value, bytes):
            data = value + b"\0" if kind == ASCII else value
            return data, len(data)
        code = {SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}[kind]
        data = np.asarray(value, dtype=np.dtype(self.order + {"H": "u2", "I": "u4", "Q": "u8"}[code])).tobytes()
        return data, len(data) // SIZES[kind]


def offsets_tag(tag: int, offsets: Sequence[int], big: bool) -> Tag:
    """A tag of offsets or lengths."""
    return (tag, LONG8 if big else LONG, list(offsets))


@lru_cache(maxsize=64)
def tissue_tile(shade: int, side: int) -> bytes:
    """A JPEG of something like tissue; different for every shade, of some kilobytes."""
    random = np.random.default_rng(shade)
    coarse = random.integers(120, 250, (side // 8, side // 8, 3), dtype=np.uint8)
    pixels = np.kron(coarse, np.ones((8, 8, 1), np.uint8)) ^ random.integers(0, 16, (side, side, 3), dtype=np.uint8)
    return jpeg(Image.fromarray(pixels))


def jpeg(image: Image.Image, quality: int = 80) -> bytes:
    """A JPEG without metadata, its JFIF header included."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def drawn(lines: Sequence[str], size: tuple[int, int], background: str = "white") -> Image.Image:
    """An image with lines of text, as on a label."""
    image = Image.new("RGB", size, background)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((10, 10 + 16 * number), line, fill="black")
    return image
