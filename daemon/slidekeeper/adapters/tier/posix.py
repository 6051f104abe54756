"""A tier in a folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from slidekeeper.adapters.tier.folder import MARK, PARTS, CheckBucket, PosixStagingFolder, write_tidings
from slidekeeper.adapters.tier.handles import folder, place_errors, read_file
from slidekeeper.adapters.tier.removal import owner_of, remove_staging, unlink
from slidekeeper.adapters.tier.verification import verify_staging
from slidekeeper.errors import Unavailable
from slidekeeper.model.manifest import MANIFEST, OWN, Manifest, StagedImage
from slidekeeper.ports.tier import Finding, Holding, Removal


@dataclass(frozen=True, slots=True)
class PosixTier:
    """Implements :class:`slidekeeper.ports.tier.Tier` below ``root``."""

    name: str
    root: Path
    bucket: Path
    mirrors: tuple[Path, ...] = ()
    """Roots of further buckets."""
    mount: bool = False
    reserve_bytes: int = 0
    check_bucket: CheckBucket = bool
    """Raises ``Unavailable`` where the bucket is away: an empty mount point lacks nothing."""

    @property
    def place(self) -> str:
        """The tier's name among places that may become unusable."""
        return f"tier:{self.name}"

    @property
    def replicas(self) -> int:
        """Number of further buckets."""
        return len(self.mirrors)

    def free(self) -> int:
        """Free bytes without the reserve."""
        self._check_there()
        with place_errors(self.place):
            return shutil.disk_usage(self.root).free - self.reserve_bytes

    def holding(self, name: str) -> Holding:
        """What lies under a staging's name; something that is no folder is one strange thing."""
        self._check_there()
        try:
            with place_errors(self.place), folder(str(self.root)) as top, folder([name], top) as there:
                return Holding(len(set(os.listdir(there)) - {OWN}), owner_of(there))
        except FileNotFoundError:
            return Holding(0, "")
        except NotADirectoryError:
            return Holding(1, "")

    def missing(self, images: Sequence[StagedImage]) -> Sequence[StagedImage]:
        """Those that the bucket lacks, or holds in another size."""
        self.check_bucket()
        with place_errors("bucket"):
            return [image for image in images if _size(self.bucket / image.source) != image.size]

    def open(self, name: str, owner: str) -> PosixStagingFolder:
        """The folder of a staging."""
        self._check_there()
        return PosixStagingFolder(str(self.root), name, owner, self.place, (self.bucket, *self.mirrors), self.check_bucket)

    def manifest(self, name: str) -> Manifest | None:
        """The manifest of a staging; None where there is none that can be understood."""
        self._check_there()
        try:
            with place_errors(self.place), folder(str(self.root)) as top, folder([name], top) as there:
                return Manifest.model_validate_json(read_file(MANIFEST, there))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValidationError):
            return None

    def stagings(self) -> Sequence[str]:
        """Names of all folders that are, or were to become, stagings."""
        self._check_there()
        with place_errors(self.place):
            names = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir(follow_symlinks=False))
        return [name for name in names if self.holding(name).owner or self.manifest(name)]

    def revise(self, manifest: Manifest, labels: Mapping[str, bytes], gone: Sequence[StagedImage]) -> None:
        """Remove files, then tell of them no more; the mark is away meanwhile. Nothing where the staging's folder is another's or gone."""
        self._check_there()
        try:
            with place_errors(self.place), folder(str(self.root)) as top, folder([manifest.name], top) as there:
                if owner_of(there) != manifest.staging:
                    return
                ready = unlink(f"{OWN}/{MARK}", there) >= 0 or self.manifest(manifest.name) is not None
                for image in gone:
                    unlink(f"{OWN}/{PARTS}/{image.name}", there)  # first: what lies there may become visible any moment
                    unlink(image.target, there)
                if ready:
                    with folder([OWN], there) as own:
                        write_tidings(there, own, manifest, labels)
                os.fsync(there)
        except (FileNotFoundError, NotADirectoryError):
            return

    def remove(self, name: str, owner: str, targets: Mapping[str, int]) -> Removal:
        """Remove a staging; its labels and manifest are among its own."""
        self._check_there()
        with place_errors(self.place):
            return remove_staging(str(self.root), name, owner, targets)

    def verify(self, name: str, exact: bool) -> Sequence[Finding]:
        """Compare a staging with its manifest."""
        self._check_there()
        with place_errors(self.place):
            return verify_staging(str(self.root), name, exact)

    def probe(self) -> None:
        """Prove that the tier can be written, and keeps its reserve."""
        if self.free() < 0:
            raise Unavailable(self.place, "disk-full", "the reserve is used up", "Free space; work goes on by itself")
        with place_errors(self.place):
            probe = self.root / f".probe-{os.getpid()}"
            try:
                probe.write_bytes(bytes(4096))
            finally:
                probe.unlink(missing_ok=True)

    def _check_there(self) -> None:
        """Refuse a missing folder and an empty mount point."""
        with place_errors(self.place):
            there = self.root.is_dir()
            mounted = not self.mount or self.root.is_mount()
        if not there:
            raise Unavailable(self.place, "missing", "the tier's folder is not there", "Mount or create it; work goes on by itself")
        if not mounted:
            raise Unavailable(self.place, "not-mounted", "nothing is mounted on the tier's folder", "Mount it; work goes on by itself")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return -1
