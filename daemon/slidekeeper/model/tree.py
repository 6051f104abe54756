"""One directory of a version, and its JSON form: what `docs/version-store.md` calls a tree.

A tree is a JSON object whose ``entries`` are laid out one a line, so that a million of them are read line by line in bounded memory,
while ``python -m json.tool`` or ``jq`` reads the same file as a whole. Entries are sorted by the bytes of their names. The file's name in
the store is the SHA-256 of its bytes: equal directories are one tree, whatever project or version they are in.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import msgspec

FORMAT = "slidekeeper-tree-1"
HEAD = b'{"format":"' + FORMAT.encode() + b'","packs":'
BETWEEN = b',"entries":['
TAIL = b"\n]}\n"


class TreeEntry(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", forbid_unknown_fields=True, kw_only=True, gc=False):
    """What all entries have: a name, which is text where it is UTF-8 and base64 where it is not."""

    name: str = ""
    name_base64: str = ""

    @property
    def raw_name(self) -> bytes:
        """The name as the file system knows it."""
        return self.name.encode() if self.name else base64.b64decode(self.name_base64)


class FileEntry(TreeEntry, frozen=True, omit_defaults=True, tag="file", kw_only=True, gc=False):
    """A regular file. Its content is ``blobs/<aa>/<sha256>``, or the member ``<sha256>`` of the pack that ``pack`` points to."""

    size: int
    """Bytes."""
    sha256: str
    """64 hexadecimal digits."""
    mode: str
    """Permission bits, octal: ``0644``."""
    mtime: int
    """Nanoseconds since the epoch."""
    pack: int = -1
    """Index in the tree's ``packs``; absent for a blob."""


class DirectoryEntry(TreeEntry, frozen=True, omit_defaults=True, tag="directory", kw_only=True, gc=False):
    """A directory, with the sums of all that is below it."""

    tree: str
    """SHA-256 of its tree."""
    mode: str
    mtime: int
    files: int
    size: int
    """Bytes of all files below."""
    missing: int = 0
    """Missing entries below."""


class SymlinkEntry(TreeEntry, frozen=True, omit_defaults=True, tag="symlink", kw_only=True, gc=False):
    """A symbolic link: kept as it is, never followed."""

    target: str = ""
    target_base64: str = ""
    """The target where it is not UTF-8."""
    mtime: int


class MissingEntry(TreeEntry, frozen=True, omit_defaults=True, tag="missing", kw_only=True, gc=False):
    """Something that was there and could not be kept."""

    reason: str
    """``unreadable``, ``fifo``, ``socket``, ``device``, ``vanished``."""


Entry: TypeAlias = FileEntry | DirectoryEntry | SymlinkEntry | MissingEntry

_ENCODER = msgspec.json.Encoder()
_ENTRY: msgspec.json.Decoder[Entry] = msgspec.json.Decoder(Entry)
_PACKS: msgspec.json.Decoder[list[str]] = msgspec.json.Decoder(list[str])


class Tree(msgspec.Struct, frozen=True):
    """One directory."""

    packs: Sequence[str]
    """Names (SHA-256) of the packs that its small files are in."""
    entries: Sequence[Entry]


def named(raw: bytes) -> dict[str, str]:
    """The name fields of an entry."""
    try:
        return {"name": raw.decode()}
    except UnicodeDecodeError:
        return {"name_base64": base64.b64encode(raw).decode()}


def encode_head(packs: Sequence[str]) -> bytes:
    """What a tree's file begins with."""
    return HEAD + _ENCODER.encode(list(packs)) + BETWEEN


def encode_entry(entry: Entry, is_first: bool) -> bytes:
    """An entry's line, with what parts it from the one before."""
    return (b"\n" if is_first else b",\n") + _ENCODER.encode(entry)


def encode_tree(packs: Sequence[str], entries: Iterable[Entry]) -> Iterator[bytes]:
    """The tree's file in portions; entries must come sorted by :attr:`TreeEntry.raw_name`."""
    yield encode_head(packs)
    for index, entry in enumerate(entries):
        yield encode_entry(entry, index == 0)
    yield TAIL


def decode_head(line: bytes) -> list[str]:
    """The packs that the first line of a tree's file names.

    Raises:
        ValueError: the file is no tree of this format.
    """
    if not line.startswith(HEAD) or not line.rstrip(b"\n").endswith(BETWEEN):
        raise ValueError("no tree of this format")
    return _PACKS.decode(line.rstrip(b"\n")[len(HEAD) : -len(BETWEEN)])


def decode_entries(portions: Iterable[bytes]) -> Iterator[Entry]:
    """The entries in what is behind the first line, given in portions of whole lines: a line each, or better thousands.

    Raises:
        ValueError: a line is no entry, or the file ends too soon.
    """
    for portion in portions:
        is_last = portion.endswith(TAIL) or portion == TAIL[1:]
        lines = portion[: -len(TAIL[1:])] if is_last else portion
        yield from _ENTRY.decode_lines(lines.replace(b",\n", b"\n"))  # no line ends within a JSON string
        if is_last:
            return
    raise ValueError("the tree ends too soon")
