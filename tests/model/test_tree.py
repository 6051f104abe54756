"""A tree is plain JSON, read line by line, and keeps any name a file system can hold."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.model.tree import (
    DirectoryEntry,
    Entry,
    FileEntry,
    MissingEntry,
    SymlinkEntry,
    decode_entries,
    decode_head,
    encode_tree,
    named,
)

NAMES = st.binary(min_size=1, max_size=40).filter(lambda name: b"/" not in name and b"\0" not in name)
DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
SIZES = st.integers(0, 2**62)


def entry_of(raw: bytes, digest: str, number: int) -> Entry:
    """One entry of each kind in turn."""
    name = named(raw)
    return (
        FileEntry(**name, size=number, sha256=digest, mode="0644", mtime=number),
        FileEntry(**name, size=number, sha256=digest, mode="0600", mtime=number, pack=0),
        DirectoryEntry(**name, tree=digest, mode="0755", mtime=number, files=3, size=number, missing=1),
        SymlinkEntry(**name, target="../elsewhere", mtime=number),
        MissingEntry(**name, reason="fifo"),
    )[number % 5]


ENTRIES = st.lists(st.tuples(NAMES, DIGESTS, SIZES), unique_by=lambda each: each[0], max_size=8).map(
    lambda drawn: sorted((entry_of(*each) for each in drawn), key=lambda entry: entry.raw_name)
)


@given(ENTRIES, st.lists(DIGESTS, max_size=2))
def test_a_tree_comes_back_as_it_was(entries: list[Entry], packs: list[str]) -> None:
    head, *lines = b"".join(encode_tree(packs, entries)).splitlines(keepends=True)
    assert decode_head(head) == packs
    assert list(decode_entries(lines)) == entries


@given(ENTRIES)
def test_a_tree_is_json_that_any_reader_understands(entries: list[Entry]) -> None:
    tree = json.loads(b"".join(encode_tree([], entries)))
    assert tree["format"] == "slidekeeper-tree-1"
    assert [each["kind"] for each in tree["entries"]] == [type(entry).__struct_config__.tag for entry in entries]


@given(NAMES)
def test_any_name_is_kept(raw: bytes) -> None:
    assert MissingEntry(**named(raw), reason="fifo").raw_name == raw


def test_a_name_in_utf8_is_readable() -> None:
    assert named("ergebnis-µ.csv".encode()) == {"name": "ergebnis-µ.csv"}
    assert set(named(b"\xff")) == {"name_base64"}


@pytest.mark.parametrize("cut", [1, 4, 30])
def test_a_tree_that_was_cut_off_is_refused(cut: int) -> None:
    whole = b"".join(encode_tree([], [entry_of(b"a", "0" * 64, 0), entry_of(b"b", "0" * 64, 5)]))
    _, *lines = whole[:-cut].splitlines(keepends=True)
    with pytest.raises(ValueError, match=r"tree|JSON|truncated"):
        list(decode_entries(lines))


@pytest.mark.parametrize("line", [b"{}\n", b'{"format":"slidekeeper-tree-2","packs":[],"entries":[\n', b""])
def test_a_file_of_another_format_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="no tree"):
        decode_head(line)
