"""What changed between two versions: pure, from their sorted directories, read side by side.

Directories that are the same tree are not opened. Nothing is kept in memory but one entry of each open directory, and, to tell what was
moved from what was removed and added, up to :data:`PAIRED` differences; beyond these nothing is paired.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeAlias

from slidekeeper.model.tree import DirectoryEntry, Entry, FileEntry, SymlinkEntry
from slidekeeper.ports.snapshots import Listed

PAIRED = 100_000

Children: TypeAlias = Callable[[str], Iterator[Listed]]
"""Entries of one directory, by name."""


class Kind(enum.StrEnum):
    """What happened to a path."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    """Other content, other kind of entry, or a link that points elsewhere."""
    TOUCHED = "touched"
    """Other mode or time, the same content."""
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that is not what it was."""

    kind: Kind
    path: bytes
    before: Entry | None
    after: Entry | None
    origin: bytes = b""
    """Where it was before it was moved."""

    @property
    def size(self) -> int:
        """Bytes of what is there now, or was there before it was removed."""
        entry = self.after or self.before
        return entry.size if isinstance(entry, FileEntry | DirectoryEntry) else 0


def compare(children: Children, before: str, after: str) -> Iterator[Difference]:
    """Differences between two trees in the order of their paths; added and removed directories entry by entry, moved ones as one."""
    if before == after:
        return
    folders_paired = _paired(_compare(children, before, after, b""), _content)
    yield from _paired(chain.from_iterable(_unfolded(children, difference) for difference in folders_paired), _content_of_file)


def _compare(children: Children, before: str, after: str, under: bytes) -> Iterator[Difference]:
    """Merge two directories; whole directories that only one of them has are one difference."""
    for old, new in _side_by_side(children(before), children(after)):
        name = old.path if old is not None else new.path if new is not None else b""
        path = under + b"/" + name if under else name
        yield from _differences(children, path, old.entry if old else None, new.entry if new else None)


def _differences(children: Children, path: bytes, old: Entry | None, new: Entry | None) -> Iterator[Difference]:
    if old == new:
        return
    match old, new:
        case DirectoryEntry(), DirectoryEntry():
            if old.tree != new.tree:
                yield from _compare(children, old.tree, new.tree, path)
            elif old.mode != new.mode:
                yield Difference(Kind.TOUCHED, path, old, new)
        case (DirectoryEntry(), _) | (_, DirectoryEntry()) if old is not None and new is not None:
            yield Difference(Kind.REMOVED, path, old, None)
            yield Difference(Kind.ADDED, path, None, new)
        case _, None:
            yield Difference(Kind.REMOVED, path, old, None)
        case None, _:
            yield Difference(Kind.ADDED, path, None, new)
        case _:
            yield Difference(Kind.TOUCHED if _same_content(old, new) else Kind.CHANGED, path, old, new)


def _side_by_side(before: Iterator[Listed], after: Iterator[Listed]) -> Iterator[tuple[Listed | None, Listed | None]]:
    """Entries of the same name together; both come sorted by the bytes of their names."""
    old, new = next(before, None), next(after, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.path < new.path):
            yield old, None
            old = next(before, None)
        elif old is None or new.path < old.path:
            yield None, new
            new = next(after, None)
        else:
            if old.entry != new.entry:
                yield old, new
            old, new = next(before, None), next(after, None)


def _same_content(old: Entry | None, new: Entry | None) -> bool:
    if isinstance(old, SymlinkEntry) and isinstance(new, SymlinkEntry):
        return (old.target, old.target_base64) == (new.target, new.target_base64)
    return isinstance(old, FileEntry) and isinstance(new, FileEntry) and old.sha256 == new.sha256


def _paired(differences: Iterator[Difference], content: Callable[[Entry | None], str]) -> Iterator[Difference]:
    """Put together what was removed here and added there; where there is too much to look through, leave it apart."""
    first = list(islice(differences, PAIRED + 1))
    if len(first) > PAIRED:
        yield from chain(first, differences)
        return
    origins: dict[str, list[Difference]] = {}
    for difference in reversed(first):
        if difference.kind is Kind.REMOVED and (what := content(difference.before)):
            origins.setdefault(what, []).append(difference)
    moves = {id(difference): origin for difference in first if (origin := _origin(difference, content, origins))}
    gone = {id(origin) for origin in moves.values()}
    for difference in first:
        if origin := moves.get(id(difference)):
            yield Difference(Kind.MOVED, difference.path, origin.before, difference.after, origin.path)
        elif id(difference) not in gone:
            yield difference


def _origin(difference: Difference, content: Callable[[Entry | None], str], origins: dict[str, list[Difference]]) -> Difference | None:
    """A removed entry with the content of an added one; each is used once."""
    candidates = origins.get(content(difference.after)) if difference.kind is Kind.ADDED else None
    return candidates.pop() if candidates else None


def _content(entry: Entry | None) -> str:
    """What makes an entry the same at another place; nothing for what is empty, which is the same everywhere."""
    if isinstance(entry, DirectoryEntry):
        return f"tree {entry.tree}" if entry.files else ""
    return _content_of_file(entry)


def _content_of_file(entry: Entry | None) -> str:
    return entry.sha256 if isinstance(entry, FileEntry) and entry.size else ""


def _unfolded(children: Children, difference: Difference) -> Iterator[Difference]:
    """An added or removed directory, and all that is in it."""
    yield difference
    entry = difference.after if difference.kind is Kind.ADDED else difference.before if difference.kind is Kind.REMOVED else None
    if isinstance(entry, DirectoryEntry):
        added = difference.kind is Kind.ADDED
        for listed in children(entry.tree):
            path = difference.path + b"/" + listed.path
            below = Difference(difference.kind, path, None if added else listed.entry, listed.entry if added else None)
            yield from _unfolded(children, below)
