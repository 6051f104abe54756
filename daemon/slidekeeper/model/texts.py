"""What a person could read in removed bytes, cut into the texts that the finished slide is searched for; pure.

All texts are UTF-8.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator

SHORTEST_SECRET, LONGEST_SECRET = 4, 200
"""Characters; the search takes no pattern of some thousand bytes, and a part that survives is to be found too."""

BETWEEN_ZEROS = re.compile(rb"[^\0]{%d,}" % SHORTEST_SECRET)
WIDE_BETWEEN_ZEROS = re.compile("[^\0]+")
"""Found, not split: most of a large value may be zeros."""
LINE_BREAKS = re.compile(rb"[\t\n\v\f\r]+")
BASE64 = re.compile(rb"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?(?![A-Za-z0-9+/=])")
SHORTEST_BASE64 = 8
"""Characters; fewer stand for less than a secret."""


def readable_in(value: bytes, utf16: bool = False) -> list[bytes]:
    """The texts of a value: its parts between zeros, and the whole where it is or looks like UTF-16 (little-endian unless marked)."""
    parts = [part.decode("utf-8" if _is_utf8(part) else "latin-1") for part in BETWEEN_ZEROS.findall(value)]
    wide = "utf-16-le" if utf16 else _utf16_of(value)
    if wide:
        parts += WIDE_BETWEEN_ZEROS.findall(value[: len(value) // 2 * 2].decode(wide, "replace").lstrip("\ufeff"))
    return [line for part in parts for line in text_lines(part.encode()) if is_text(line)]


def text_lines(text: bytes) -> list[bytes]:
    """The lines of a text, and what stands between its tabs; each is searched by itself, a long one in pieces of equal length.

    What is Base64 of another text is unpacked, and its lines follow.
    """
    lines = [line.strip() for line in LINE_BREAKS.split(text)]
    unpacked = [inner for line in lines for inner in _unpacked(line)]
    return [piece for line in [*lines, *unpacked] for piece in _pieces(line.decode(errors="replace"))]


def is_text(value: bytes) -> bool:
    """Whether a removed value is long enough and readable, so that it can be searched as text."""
    text = value.strip()
    return len(text) >= SHORTEST_SECRET and text.decode("utf-8", "replace").isprintable() and any(chr(byte).isalnum() for byte in text)


def is_secret(text: bytes, remaining: bytes) -> bool:
    """Whether a removed text must not occur: not where the same characters legitimately remain (a kept width, a kept name)."""
    return is_text(text) and not remains(text, remaining)


def remains(text: bytes, remaining: bytes) -> bool:
    """Whether a text is part of what legitimately remains, in whatever case."""
    return text.lower() in remaining.lower()


def _pieces(line: str) -> list[bytes]:
    """The whole line, or pieces that cover it; the last one reaches back, so that none is short enough to occur by chance."""
    last = max(0, len(line) - LONGEST_SECRET)
    return [line[at : at + LONGEST_SECRET].encode() for at in [*range(0, last, LONGEST_SECRET), last]]


def _unpacked(line: bytes) -> Iterator[bytes]:
    """The lines of texts that stand in a line as Base64."""
    for coded in BASE64.finditer(line):
        if len(coded.group()) >= SHORTEST_BASE64:
            yield from (inner.strip() for inner in LINE_BREAKS.split(_decoded(coded.group())) if is_text(inner))


def _decoded(coded: bytes) -> bytes:
    """The text that was coded, or nothing where it is none: most words are Base64 of something."""
    try:
        text = b64decode(coded, validate=True)
        printable = LINE_BREAKS.sub(b" ", text).decode().isprintable()
    except (binascii.Error, UnicodeDecodeError):
        return b""
    return text if printable else b""


def _is_utf8(part: bytes) -> bool:
    try:
        part.decode()
    except UnicodeDecodeError:
        return False
    return True


def _utf16_of(value: bytes) -> str:
    """The byte order of UTF-16, by mark, or because every other byte is mostly zero; empty for anything else."""
    if value.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16-le" if value[:1] == b"\xff" else "utf-16-be"
    even, odd = value[::2].count(0), value[1::2].count(0)
    if len(value) < 2 * SHORTEST_SECRET or max(even, odd) * 4 < len(value) or max(even, odd) < 2 * min(even, odd):
        return ""
    return "utf-16-le" if odd > even else "utf-16-be"
