"""Finds the versions whose runs trained on slides of somebody: their provenance lists the staging's slide numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator

from slidekeeper.model.tree import FileEntry
from slidekeeper.ports.snapshots import Versions

PROVENANCE = b"provenance.json"
NUMBER = re.compile(rb"(?<![0-9a-f])[1-9][0-9]{11}(?![0-9a-f])")


def versions_naming(versions: Versions, numbers: Collection[str]) -> Iterator[str]:
    """Names of all versions whose provenance has one of ``numbers``, ``<project>@v<number>``. Blocks.

    Raises:
        Permanent: a version is damaged.
        Unavailable: the bucket cannot be used.
    """
    wanted = {number.encode() for number in numbers}
    for project in versions.projects():
        for number in versions.numbers(project):
            found = set(NUMBER.findall(_provenance(versions, versions.document(project, number).tree)))
            if found & wanted:
                yield f"{project}@v{number}"


def _provenance(versions: Versions, tree: str) -> bytes:
    """The text of a version's provenance; empty where it has none."""
    for listed in versions.children(tree):
        if listed.path == PROVENANCE and isinstance(listed.entry, FileEntry):
            with versions.open(listed.entry, listed.pack) as content:
                return os.pread(content.descriptor, content.size, content.offset)
    return b""
