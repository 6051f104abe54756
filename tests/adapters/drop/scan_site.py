"""A drop folder with its index and its scan, for tests."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.drop.scan import TreeScan
from slidekeeper.model.identity import new_batch_id, new_pack_id
from slidekeeper.model.phi import Barcode, Member, PackFiles, RelativePath, Role
from slidekeeper.ports.drop import Listing, Portion, Sighting

IGNORE = ("*.tmp", ".*")
LONG_AGO = time.time() - 3600


class ScanSite:
    """A drop folder, its index and its scan."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "drop"
        self.root.mkdir()
        self.drop = PosixDrop("one", self.root)
        self.known = SqliteKnownFiles(folder / "intake.sqlite")
        self.scan = TreeScan(self.drop, folder / "intake.sqlite", IGNORE)

    def write(self, name: str | bytes, data: bytes = b"slide") -> None:
        """Write a file, and the folders above it."""
        path = self.root / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def found(self) -> list[bytes]:
        """Paths of all that a scan of the whole tree reports, sorted."""
        return paths(list(self.scan.everything()))

    def look(self, *names: bytes) -> list[bytes]:
        """Paths of all that a look at ``names`` reports, sorted."""
        return paths(list(self.scan.look([RelativePath(name) for name in names])))

    async def remember(self, sightings: Sequence[Sighting]) -> None:
        """Put files into the index."""
        members = tuple(Member(seen.path, Role.IMAGE, seen.identity) for seen in sightings)
        await self.known.remember(
            [PackFiles(new_pack_id(), "one", new_batch_id(), RelativePath(b"stem"), Barcode("stem"), (member,)) for member in members]
        )

    async def take_in(self) -> list[Listing]:
        """Scan everything into the index, as the watcher does; returns what was listed."""
        listed: list[Listing] = []
        for portion in self.scan.everything():
            await self.remember(portion.sightings)
            await self.known.listed("one", portion.listed)
            listed += portion.listed
        return listed

    def age(self) -> None:
        """Make every directory look as if it had not changed for an hour."""
        for folder, _, _ in os.walk(os.fsencode(self.root)):
            os.utime(folder, (LONG_AGO, LONG_AGO))


def paths(portions: Sequence[Portion]) -> list[bytes]:
    """All paths in some portions, sorted."""
    return sorted(seen.path.reveal() for portion in portions for seen in portion.sightings)
