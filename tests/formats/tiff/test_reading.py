"""Directories of any TIFF are read without trust: loops, huge counts and offsets past the end are refused, never followed."""

from __future__ import annotations

import struct

import pytest

from formats.checklist import pages_of, source_of
from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.reading import MAX_DIRECTORIES, MAX_ENTRIES, Dialect, Entry, Tiff, is_tiff, read_tiff
from writers.minimal import TILE, aside, minimal_slide, noise, with_tags
from writers.tiff import ASCII, LONG, LONG8, SHORT, Tag, TiffWriter

DIALECTS = [("<", False), (">", False), ("<", True), (">", True)]


def refusal(data: bytes) -> str:
    """Why a file is not read, or an empty string."""
    try:
        read_tiff(source_of(data))
    except Permanent as refused:
        return refused.reason
    return ""


def first_entry(tiff: Tiff, tag: int) -> Entry:
    """A tag of the first directory."""
    entry = tiff.directories[0].entry(tag)
    assert entry is not None
    return entry


def directory(*entries: tuple[int, int, int, int], following: int = 0, count: int | None = None) -> bytes:
    """A classic little-endian file of one directory; entries are tag, type, count, value."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries) if count is None else count) + body + struct.pack("<I", following)


@pytest.mark.parametrize(("order", "big"), DIALECTS)
def test_directories_are_found_where_an_independent_reader_finds_them(order: str, big: bool) -> None:
    data = minimal_slide(order=order, big=big, asides=[(1, noise(1)), (9, noise(2))])
    tiff = read_tiff(source_of(data))
    pages = [page for _, page in pages_of(data)]
    assert tiff.dialect == Dialect(order, big)
    assert [found.offset for found in tiff.directories] == [page.offset for page in pages]
    for found, page in zip(tiff.directories, pages, strict=True):
        assert [(entry.tag, entry.offset, entry.length) for entry in found.entries] == [
            (tag.code, tag.valueoffset, tag.valuebytecount) for tag in page.tags
        ]


@pytest.mark.parametrize(("order", "big"), DIALECTS)
def test_numbers_and_texts_are_read_inline_or_not(order: str, big: bool) -> None:
    more: list[Tag] = [(258, SHORT, [8, 9, 10]), (316, ASCII, b"a host of some length"), (315, ASCII, b"op")]
    tiff = read_tiff(source_of(minimal_slide(with_tags(*more), order=order, big=big)))
    assert tiff.integers(first_entry(tiff, 256)) == (TILE,)
    assert tiff.integers(first_entry(tiff, 258)) == (8, 9, 10)
    assert tiff.value(first_entry(tiff, 316)) == b"a host of some length\0"
    assert tiff.value(first_entry(tiff, 315)) == b"op\0"
    assert (first_entry(tiff, 315).inline, first_entry(tiff, 258).inline, first_entry(tiff, 316).inline) == (True, big, False)


@pytest.mark.parametrize(("order", "big"), DIALECTS)
def test_a_header_is_written_as_it_was_read(order: str, big: bool) -> None:
    data = minimal_slide(order=order, big=big)
    tiff = read_tiff(source_of(data))
    assert data.startswith(tiff.dialect.header(tiff.directories[0].offset))
    assert len(tiff.dialect.header(0)) == tiff.dialect.header_bytes


@pytest.mark.parametrize(
    "data", [b"", b"II*", b"II\0\0\0\0\0\0", b"IM*\0\0\0\0\0", b"II\x2b\0\4\0\0\0" + bytes(8), b"II\x2b\0\x08\0\1\0" + bytes(8)]
)
def test_what_has_no_tiff_header_is_malformed(data: bytes) -> None:
    assert not is_tiff(source_of(data))
    assert refusal(data) == "malformed-tiff"


def test_a_directory_that_follows_itself_is_a_loop() -> None:
    assert refusal(directory((256, 3, 1, 9), following=8)) == "directory-loop"


def test_a_sub_directory_that_is_its_parent_is_a_loop() -> None:
    assert refusal(directory((330, 4, 1, 8))) == "directory-loop"


def test_a_sub_directory_listed_twice_is_a_loop() -> None:
    def twice(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        return [*tags, (330, LONG, [aside(writer, 0, noise(1), link=False)] * 2)]

    assert refusal(minimal_slide(twice)) == "directory-loop"


@pytest.mark.parametrize("big", [False, True])
def test_sub_directories_are_read_behind_their_parent(big: bool) -> None:
    def with_subs(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        return [*tags, (330, LONG8 if big else LONG, [aside(writer, 0, noise(seed), link=False) for seed in (1, 2)])]

    tiff = read_tiff(source_of(minimal_slide(with_subs, big=big, asides=[(1, noise(3))])))
    assert [len(found.subs) for found in tiff.directories] == [2, 0]
    assert list(tiff.everyone()) == [tiff.directories[0], *tiff.directories[0].subs, tiff.directories[1]]


@pytest.mark.parametrize("count", [0, MAX_ENTRIES + 1, 65535])
def test_a_directory_without_entries_or_with_too_many_is_malformed(count: int) -> None:
    assert refusal(directory((256, 3, 1, 9), count=count) + bytes(70000 * 12)) == "malformed-tiff"


def test_a_bigtiff_directory_of_countless_entries_is_malformed() -> None:
    assert refusal(struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 2**64 - 1) + bytes(64)) == "malformed-tiff"


def test_too_many_directories_are_refused() -> None:
    size = 2 + 12 + 4
    links = [8 + size * (number + 1) for number in range(MAX_DIRECTORIES + 1)]
    chain = b"".join(struct.pack("<HHHIII", 1, 256, 3, 1, 9, link) for link in links)
    assert refusal(struct.pack("<2sHI", b"II", 42, 8) + chain) == "too-many-directories"


def test_too_many_sub_directories_are_refused() -> None:
    assert refusal(directory((330, 4, 2**32 - 1, 8))) == "too-many-directories"


@pytest.mark.parametrize("offset", [100, 2**32 - 1])
def test_directories_past_the_end_are_truncated(offset: int) -> None:
    assert refusal(directory((256, 3, 1, 9), following=offset)) == "truncated"
    assert refusal(directory((330, 4, 1, offset))) == "truncated"
    assert refusal(struct.pack("<2sHI", b"II", 42, offset) + bytes(8)) == "truncated"


def test_a_value_past_the_end_is_truncated() -> None:
    tiff = read_tiff(source_of(directory((270, 2, 100, 20))))
    with pytest.raises(Permanent) as refused:
        tiff.value(first_entry(tiff, 270))
    assert refused.value.reason == "truncated"


def test_a_value_of_a_huge_count_is_refused_before_it_is_read() -> None:
    tiff = read_tiff(source_of(directory((324, 4, 2**32 - 1, 0))))
    with pytest.raises(Permanent) as refused:
        tiff.integers(first_entry(tiff, 324))
    assert refused.value.reason == "malformed-tiff"


def test_what_is_no_unsigned_number_is_refused_as_one() -> None:
    tiff = read_tiff(source_of(directory((256, 9, 1, 1))))
    with pytest.raises(Permanent) as refused:
        tiff.integers(first_entry(tiff, 256))
    assert refused.value.reason == "malformed-tiff"


def test_entries_of_unknown_field_types_are_not_seen() -> None:
    tiff = read_tiff(source_of(directory((256, 3, 1, 9), (65000, 99, 1, 1), (257, 3, 1, 9))))
    assert [entry.tag for entry in tiff.directories[0].entries] == [256, 257]


def test_the_length_of_a_directory_covers_count_entries_and_link() -> None:
    tiff = read_tiff(source_of(directory((256, 3, 1, 9), (257, 3, 1, 9))))
    assert (tiff.directories[0].offset, tiff.directories[0].length) == (8, 2 + 24 + 4)
