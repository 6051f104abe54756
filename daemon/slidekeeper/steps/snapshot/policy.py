"""Decides what is left out of a version, by name."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from slidekeeper.ports.snapshots import LeavesOut


def exclusion(patterns: Iterable[str]) -> LeavesOut:
    """What ``[training] exclude`` leaves out.

    A pattern without a slash fits names at any depth, one with a slash inside fits paths from the top of a source; a slash at its end
    makes it fit directories only.
    """
    every = list(patterns)
    of_all = [pattern for pattern in every if not pattern.endswith("/")]
    of_folders = [pattern.rstrip("/") for pattern in every]
    fits_name, fits_path = _names(of_all), _paths(of_all)
    fits_folder, fits_folder_path = _names(of_folders), _paths(of_folders)

    def leaves_out(path: bytes, is_folder: bool) -> bool:
        name = path.rpartition(b"/")[2]
        by_name, by_path = (fits_folder, fits_folder_path) if is_folder else (fits_name, fits_path)
        return by_name.match(name) is not None or by_path.match(path) is not None

    return leaves_out


def names_for(folders: Iterable[str]) -> list[str]:
    """A name below ``code/`` for each folder: its own; where several have the same, numbers tell them apart."""
    taken: set[str] = set()
    names = []
    for folder in folders:
        own = PurePosixPath(folder).name or "code"
        name, number = own, 1
        while name in taken:
            number += 1
            name = f"{own}-{number}"
        taken.add(name)
        names.append(name)
    return names


def _names(patterns: Iterable[str]) -> re.Pattern[bytes]:
    return _any_of(pattern for pattern in patterns if "/" not in pattern)


def _paths(patterns: Iterable[str]) -> re.Pattern[bytes]:
    return _any_of(pattern.lstrip("/") for pattern in patterns if "/" in pattern)


def _any_of(patterns: Iterable[str]) -> re.Pattern[bytes]:
    """One expression for all; without patterns, one that fits nothing."""
    expression = "|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)"
    return re.compile(expression.encode("utf-8", "surrogateescape"), re.DOTALL)
