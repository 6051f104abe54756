"""What is left out of versions, and counts as the run's own when its folder is cleaned: ``[training] exclude``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

NOTHING = r"(?!)"
"""An expression that matches no name."""


class Excludes:
    """Shell patterns for names; a slash at the end means folders, and all that is in them."""

    def __init__(self, patterns: Iterable[str]) -> None:
        told = tuple(patterns)
        self._folders = _any_of(pattern.rstrip("/") for pattern in told)
        self._files = _any_of(pattern for pattern in told if not pattern.endswith("/"))

    def excludes_folder(self, name: bytes) -> bool:
        """Whether a folder of this name is left out with all that is in it."""
        return self._folders.match(_text(name)) is not None

    def excludes_file(self, name: bytes) -> bool:
        """Whether anything but a folder of this name is left out."""
        return self._files.match(_text(name)) is not None


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)) or NOTHING)


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
