"""Scrubs an ICC profile in place: the colour transform stays, dates and texts go.

Source: ICC.1:2022 sections 7.2 "Profile header" and 7.3 "Tag table".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

from slidekeeper.errors import Permanent

HEADER_BYTES = 128
CREATED = slice(24, 36)
DEVICE = slice(48, 64)
"""Device manufacturer, model and attributes."""
CREATOR_AND_ID = slice(80, 128)
"""Profile creator, profile id (zero means: not computed) and reserved bytes."""

TRANSFORM_TAGS = frozenset(
    b"rXYZ gXYZ bXYZ wtpt bkpt rTRC gTRC bTRC kTRC chad lumi"
    b" A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 D2B0 D2B1 D2B2 D2B3 B2D0 B2D1 B2D2 B2D3 gamt cicp".split()
)
"""Tags that say how colours are computed; everything else is text, or unknown."""

TYPE_BYTES = 8
MAX_TAGS = 200
RECORD_BYTES, MAX_RECORDS = 12, 200
"""Of localized texts."""


def scrubbed_icc(profile: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The profile with dates, texts and unknown tags zeroed, of the same length; and the readable texts that were in it.

    A description tag (``desc``) keeps a well-formed but empty value, because readers require it.

    Raises:
        Permanent: ``malformed-icc``.
    """
    if len(profile) < HEADER_BYTES + 4 or profile[36:40] != b"acsp":
        raise Permanent("malformed-icc", "the colour profile has no valid header")
    tags = _tag_table(profile)
    kept = bytearray(len(profile))
    kept[:HEADER_BYTES] = profile[:HEADER_BYTES]
    for blank in (CREATED, DEVICE, CREATOR_AND_ID):
        kept[blank] = bytes(blank.stop - blank.start)
    table_end = HEADER_BYTES + 4 + 12 * len(tags)
    kept[HEADER_BYTES:table_end] = profile[HEADER_BYTES:table_end]
    texts: list[bytes] = []
    for signature, offset, size in tags:
        element = profile[offset : offset + size]
        if signature in TRANSFORM_TAGS:
            kept[offset : offset + size] = element
        else:
            texts += _texts(element)
            kept[offset : offset + size] = _empty(element)
    return bytes(kept), tuple(texts)


def _tag_table(profile: bytes) -> list[tuple[bytes, int, int]]:
    count = struct.unpack_from(">I", profile, HEADER_BYTES)[0]
    if count > MAX_TAGS or HEADER_BYTES + 4 + 12 * count > len(profile):
        raise Permanent("malformed-icc", f"the colour profile claims {count} tags")
    tags = [struct.unpack_from(">4sII", profile, HEADER_BYTES + 4 + 12 * index) for index in range(count)]
    for _, offset, size in tags:
        if offset < HEADER_BYTES + 4 + 12 * count or offset + size > len(profile):
            raise Permanent("malformed-icc", "a tag of the colour profile lies outside it")
    _refuse_shared(tags)
    return tags


def _refuse_shared(tags: list[tuple[bytes, int, int]]) -> None:
    """Tags may share a whole element (three equal curves), but no part of one, and never one that is kept and one that is blanked."""
    spans = sorted((offset, offset + size, signature in TRANSFORM_TAGS) for signature, offset, size in tags if size)
    for first, second in pairwise(spans):
        if second[0] < first[1] and second != first:
            raise Permanent("malformed-icc", "tags of the colour profile share some of their bytes")


def _empty(element: bytes) -> bytes:
    """A value of the same type and length without content."""
    kind = element[:4]
    if kind == b"desc" and len(element) >= TYPE_BYTES + 5:
        # textDescriptionType of ICC.1:2001 section 6.5.17: a length that counts the final zero, then the text.
        return kind + bytes(4) + struct.pack(">I", 1) + bytes(len(element) - TYPE_BYTES - 4)
    if kind == b"mluc" and len(element) >= TYPE_BYTES + 8:
        # multiLocalizedUnicodeType, section 10.15: no record, records of 12 bytes.
        return kind + bytes(4) + struct.pack(">II", 0, 12) + bytes(len(element) - TYPE_BYTES - 8)
    return kind + bytes(max(0, len(element) - 4))


def _texts(element: bytes) -> list[bytes]:
    """The readable parts of a text element, as UTF-8."""
    if element[:4] == b"mluc":
        found = [part.decode("utf-16-be", "replace") for part in _records(element)]
    else:
        found = [_decoded(element[TYPE_BYTES + (4 if element[:4] == b"desc" else 0) :].split(b"\0", 1)[0])]
    texts = ("".join(character for character in text if character.isprintable() or character in "\r\n\t").strip() for text in found)
    return [text.encode() for text in texts if text]


def _records(element: bytes) -> Iterator[bytes]:
    """The texts of a multiLocalizedUnicodeType: number and size of records at 8 and 12, then language, country, length and offset."""
    if len(element) < TYPE_BYTES + 8:
        return
    count, size = struct.unpack_from(">II", element, TYPE_BYTES)
    for index in range(min(count, MAX_RECORDS)):
        at = TYPE_BYTES + 8 + index * size
        if size < RECORD_BYTES or at + RECORD_BYTES > len(element):
            return
        length, offset = struct.unpack_from(">II", element, at + 4)
        yield element[offset : offset + length // 2 * 2]


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
