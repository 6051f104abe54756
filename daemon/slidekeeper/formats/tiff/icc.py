"""Writes an ICC profile anew in its place: the colour transform stays, everything else goes.

The header is made of fields whose meaning is known; the tag table names transforms and empty texts only; of an element as many
bytes are kept as its type says it has. What is left as it is are the numbers of curves and lookup tables, which are the transform.

Source: ICC.1:2022 sections 7.2 "Profile header", 7.3 "Tag table", 10 "Tag type definitions"; ICC.1:2001 section 6.5.17.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from slidekeeper.errors import Permanent

HEADER_BYTES = 128
SIGNATURE = b"acsp"
VERSIONS = frozenset({2, 4, 5})
CLASSES = frozenset({b"scnr", b"mntr", b"prtr", b"link", b"spac", b"abst"})
SPACES = frozenset({b"RGB ", b"GRAY", b"CMYK", b"CMY ", b"YCbr", b"XYZ ", b"Lab ", b"Luv ", b"HSV ", b"HLS ", b"Yxy "})
INTENTS = 4
D50 = struct.pack(">III", 0xF6D6, 0x10000, 0xD32D)
"""The illuminant of every profile, X, Y and Z in sixteen and sixteen bits."""

TRANSFORM_TAGS = frozenset(
    b"rXYZ gXYZ bXYZ wtpt bkpt rTRC gTRC bTRC kTRC chad"
    b" A2B0 A2B1 A2B2 B2A0 B2A1 B2A2 D2B0 D2B1 D2B2 D2B3 B2D0 B2D1 B2D2 B2D3 gamt cicp".split()
)
"""Tags that say how colours are computed."""

TEXT_TAGS = frozenset({b"desc", b"cprt", b"dmnd", b"dmdd"})
"""Tags that readers may ask for; they are kept without their text."""

TYPE_BYTES = 8
FIXED_BYTES, LARGEST_FIXED = 4, 16
"""Of a number in sixteen and sixteen bits; white points, matrices and exponents are far smaller than what letters make."""

PARAMETERS = (1, 3, 4, 5, 7)
"""Of a parametric curve, by its function."""

MAX_TAGS = 200
RECORD_BYTES, MAX_RECORDS = 12, 200
"""Of localized texts."""


def scrubbed_icc(profile: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The profile with nothing but its transform, of the same length; and the readable texts that were in it.

    A description tag (``desc``) keeps a well-formed but empty value, because readers require it.

    Raises:
        Permanent: ``malformed-icc``.
    """
    if len(profile) < HEADER_BYTES + 4 or profile[36:40] != SIGNATURE:
        raise Permanent("malformed-icc", "the colour profile has no valid header")
    tags = _tag_table(profile)
    kept = bytearray(len(profile))
    kept[:HEADER_BYTES] = _header(profile)
    table: list[bytes] = []
    texts: list[bytes] = []
    for signature, offset, size in tags:
        element = profile[offset : offset + size]
        new = _transform(element) if _is_transform(signature, element) else _empty(signature, element)
        texts += [] if _is_transform(signature, element) else _texts(element)
        if new:
            table.append(struct.pack(">4sII", signature, offset, size))
            kept[offset : offset + len(new)] = new
    kept[HEADER_BYTES : HEADER_BYTES + 4 + 12 * len(table)] = struct.pack(">I", len(table)) + b"".join(table)
    return bytes(kept), tuple(texts)


def _header(profile: bytes) -> bytes:
    """Size, version, class, colour spaces, signature, intent and illuminant; no maker, module, platform, date, flags or id."""
    version, minor = profile[8:10]
    kind, space, connection = profile[12:16], profile[16:20], profile[20:24]
    if version not in VERSIONS or kind not in CLASSES or not {space, connection} <= SPACES:
        raise Permanent("malformed-icc", "the colour profile is of a version, class or colour space that does not exist")
    (intent,) = struct.unpack_from(">I", profile, 64)
    start = struct.pack(">I4xBB2x4s4s4s12x4s", len(profile), version, minor, kind, space, connection, SIGNATURE)
    return start + struct.pack(">24xI12s48x", intent if intent < INTENTS else 0, D50)


def _tag_table(profile: bytes) -> list[tuple[bytes, int, int]]:
    count = struct.unpack_from(">I", profile, HEADER_BYTES)[0]
    if count > MAX_TAGS or HEADER_BYTES + 4 + 12 * count > len(profile):
        raise Permanent("malformed-icc", f"the colour profile claims {count} tags")
    tags = [struct.unpack_from(">4sII", profile, HEADER_BYTES + 4 + 12 * index) for index in range(count)]
    for _, offset, size in tags:
        if offset < HEADER_BYTES + 4 + 12 * count or offset + size > len(profile):
            raise Permanent("malformed-icc", "a tag of the colour profile lies outside it")
    _refuse_shared([(offset, offset + size, _is_transform(name, profile[offset : offset + size])) for name, offset, size in tags if size])
    return tags


def _refuse_shared(spans: list[tuple[int, int, bool]]) -> None:
    """Tags may share a whole element (three equal curves), but no part of one, and never one that is kept and one that is blanked."""
    for first, second in pairwise(sorted(spans)):
        if second[0] < first[1] and second != first:
            raise Permanent("malformed-icc", "tags of the colour profile share some of their bytes")


def _is_transform(signature: bytes, element: bytes) -> bool:
    return signature in TRANSFORM_TAGS and element[:4] in CONTENT_BYTES and len(element) > TYPE_BYTES


def _transform(element: bytes) -> bytes:
    """An element of a transform, as long as its type says, or nothing where its numbers cannot be meant."""
    try:
        length = CONTENT_BYTES[element[:4]](element)
    except (struct.error, IndexError):
        length = len(element) + 1
    if length > len(element):
        raise Permanent("malformed-icc", "an element of the colour profile is shorter than its content")
    return element[:4] + bytes(4) + element[TYPE_BYTES:length] if length else b""


def _curve(element: bytes) -> int:
    return 12 + 2 * int(struct.unpack_from(">I", element, 8)[0])


def _parametric(element: bytes) -> int:
    parameters = PARAMETERS[struct.unpack_from(">H", element, 8)[0]]
    return _fixed_numbers(element, 12, parameters)


def _point(element: bytes) -> int:
    return _fixed_numbers(element, TYPE_BYTES, 3)


def _matrix(element: bytes) -> int:
    return _fixed_numbers(element, TYPE_BYTES, 9)


def _fixed_numbers(element: bytes, start: int, count: int) -> int:
    """The end of so many numbers, or 0 where one of them is too large to be meant."""
    numbers = struct.unpack_from(f">{count}i", element, start)
    return start + count * FIXED_BYTES if all(abs(number) < LARGEST_FIXED << 16 for number in numbers) else 0


def _table_of_bytes(element: bytes) -> int:
    inputs, outputs, grid = element[8:11]
    return 48 + 256 * (inputs + outputs) + outputs * int(grid**inputs)


def _table_of_words(element: bytes) -> int:
    inputs, outputs, grid = element[8:11]
    first, last = struct.unpack_from(">HH", element, 48)
    return 52 + 2 * int(first * inputs + last * outputs + outputs * grid**inputs)


def _cicp(_element: bytes) -> int:
    return 12


CONTENT_BYTES: Mapping[bytes, Callable[[bytes], int]] = {
    b"curv": _curve,
    b"para": _parametric,
    b"XYZ ": _point,
    b"sf32": _matrix,
    b"mft1": _table_of_bytes,
    b"mft2": _table_of_words,
    b"mAB ": len,
    b"mBA ": len,
    b"mpet": len,
    b"cicp": _cicp,
}
"""Types of which transforms are made, and how many bytes an element of each has."""


def _empty(signature: bytes, element: bytes) -> bytes:
    """A value of the same length without content, for a text that readers may ask for; nothing for any other tag."""
    if signature not in TEXT_TAGS or len(element) < TYPE_BYTES + 8:
        return b""
    if element[:4] == b"desc":
        # textDescriptionType of ICC.1:2001: a length that counts the final zero, then the text.
        return b"desc" + bytes(4) + struct.pack(">I", 1) + bytes(len(element) - TYPE_BYTES - 4)
    if element[:4] == b"mluc":
        # multiLocalizedUnicodeType, section 10.15: no record, records of 12 bytes.
        return b"mluc" + bytes(4) + struct.pack(">II", 0, 12) + bytes(len(element) - TYPE_BYTES - 8)
    return b"text" + bytes(len(element) - 4)


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
