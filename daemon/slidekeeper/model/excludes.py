"""What is left out of versions, and counts as the run's own when its folder is cleaned: ``[training] exclude``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

NOTHING = r"(?!)"
"""An expression that matches no name."""


class Excludes:
    """Shell patterns: without a slash for names at any depth, with one inside for paths; one at the end means folders, and all in them."""

    def __init__(self, patterns: Iterable[str]) -> None:
        told = tuple(patterns)
        self._folders = _Patterns(pattern.rstrip("/") for pattern in told)
        self._others = _Patterns(pattern for pattern in told if not pattern.endswith("/"))

    def __call__(self, path: bytes, is_folder: bool) -> bool:
        """Whether what lies at ``path``, relative to the run's folder, is left out."""
        return (self._folders if is_folder else self._others).fit(path.decode(errors="surrogateescape"))


class _Patterns:
    """Patterns as two expressions: a scan asks about a million names."""

    def __init__(self, patterns: Iterable[str]) -> None:
        told = tuple(patterns)
        self._names = _any_of(pattern for pattern in told if "/" not in pattern)
        self._paths = _any_of(pattern.lstrip("/") for pattern in told if "/" in pattern)

    def fit(self, path: str) -> bool:
        """Whether any of them fits the path or its last name."""
        return self._names.match(path.rpartition("/")[2]) is not None or self._paths.match(path) is not None


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or NOTHING)
