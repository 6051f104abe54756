"""Which paths of a version are wanted, and which directories need not even be opened: one file out of millions costs its own path."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property

from slidekeeper.errors import Refused

ANY_DEPTH = "**"


@dataclass(frozen=True)
class Selection:
    """Shell patterns, matched name by name: ``artifacts/*.pt``; ``**`` stands for any number of directories.

    A pattern that fits a directory selects all that is below. No patterns select everything.
    """

    patterns: Sequence[str] = ()

    def wants(self, path: bytes) -> bool:
        """Whether the entry at ``path``, or a directory that it is in, is selected."""
        names = _names(path)
        return not self.patterns or any(_fits(parts, names, below=True) for parts in self._parts)

    def leads(self, path: bytes) -> bool:
        """Whether something selected may lie below the directory at ``path``."""
        names = _names(path)
        return not self.patterns or any(_fits(parts, names, below=True) or _may_lead(parts, names) for parts in self._parts)

    @cached_property
    def _parts(self) -> Sequence[Sequence[re.Pattern[str] | None]]:
        return [[None if part == ANY_DEPTH else re.compile(translate(part)) for part in _split(pattern)] for pattern in self.patterns]


def _split(pattern: str) -> Sequence[str]:
    parts = [part for part in pattern.split("/") if part]
    if not parts or ".." in parts:
        raise Refused(
            "wrong-path", "a path within a version has names between slashes, and no `..`", "See `slidekeeper versions show --files`"
        )
    return parts


def _names(path: bytes) -> Sequence[str]:
    return path.decode("utf-8", "surrogateescape").split("/")


def _fits(parts: Sequence[re.Pattern[str] | None], names: Sequence[str], *, below: bool) -> bool:
    """Whether the pattern fits the path; with ``below``, or a directory above it."""
    if not parts:
        return below or not names
    if parts[0] is None:
        return any(_fits(parts[1:], names[skipped:], below=below) for skipped in range(len(names) + 1))
    return bool(names) and parts[0].match(names[0]) is not None and _fits(parts[1:], names[1:], below=below)


def _may_lead(parts: Sequence[re.Pattern[str] | None], names: Sequence[str]) -> bool:
    """Whether the pattern's beginning fits all names of a directory."""
    if not names or (parts and parts[0] is None):
        return True
    return bool(parts) and parts[0] is not None and parts[0].match(names[0]) is not None and _may_lead(parts[1:], names[1:])
