"""Decides what folders of code are called in a version."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath


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
