"""Looks behind the pixels of tiles that are packed without markers: nothing may follow them, packed or plain.

Source: RFC 1950 and 1951 (zlib, deflate); TIFF 6.0 section 13 "LZW compression".
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

INFLATED_AT_ONCE = 1 << 20

CLEAR, END_OF_INFORMATION, FIRST_CODE = 256, 257, 258
SHORTEST_CODE, LONGEST_CODE = 9, 12
"""Bits."""

MORE_PIXELS = "more than its pixels"
BEHIND = "bytes behind the end"


def more_than_plain(stream: bytes, most: int) -> str:
    """What is wrong with an uncompressed tile of ``most`` bytes."""
    return BEHIND if stream[most:].strip(b"\0") else ""


def more_than_deflate(stream: bytes, most: int) -> str:
    """What is wrong with a tile whose deflated pixels have ``most`` bytes: more pixels than it has room for, or bytes behind the stream."""
    inflating, inflated = zlib.decompressobj(), 0
    try:
        while not inflating.eof:
            part = inflating.decompress(stream, INFLATED_AT_ONCE)
            stream, inflated = inflating.unconsumed_tail, inflated + len(part)
            if inflated > most:
                return MORE_PIXELS
            if not part and not inflating.eof:
                return "no end"
    except zlib.error:
        return "unreadable stream"
    return BEHIND if inflating.unused_data.strip(b"\0") else ""


def more_than_lzw(stream: bytes, most: int) -> str:
    """What is wrong with a tile whose LZW codes stand for ``most`` bytes; only lengths are unpacked, never texts."""
    lengths, width, before, unpacked = [1] * FIRST_CODE, SHORTEST_CODE, 0, 0
    held, bits = 0, 0
    for at, byte in enumerate(stream, 1):
        held, bits = (held << 8 | byte) & 0xFFFFFF, bits + 8
        if bits < width:
            continue
        bits -= width
        code = held >> bits & ((1 << width) - 1)
        if code == END_OF_INFORMATION:
            return BEHIND if stream[at:].strip(b"\0") else ""
        if code == CLEAR:
            del lengths[FIRST_CODE:]
            width, before = SHORTEST_CODE, 0
            continue
        if before:
            lengths.append(before + 1)
        if code >= len(lengths):
            return "unreadable stream"
        before = lengths[code]
        unpacked += before
        if unpacked > most:
            return MORE_PIXELS
        width = _width(len(lengths))
    return ""


def _width(codes: int) -> int:
    """Bits of the next code: they grow one code earlier than need be, as TIFF has it."""
    return min(LONGEST_CODE, max(SHORTEST_CODE, (codes + 1).bit_length()))


PACKED: Mapping[str, Callable[[bytes, int], str]] = {"none": more_than_plain, "deflate": more_than_deflate, "lzw": more_than_lzw}
"""By compression."""
