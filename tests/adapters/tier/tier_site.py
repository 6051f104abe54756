"""A bucket and a tier in a temporary folder, with slides of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from blake3 import blake3

from slidekeeper.adapters.tier.posix import PosixTier
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.manifest import LABELS, LabelFile, Manifest, Plan, StagedImage, manifest_of
from slidekeeper.model.staging import Cohort, StagingId
from slidekeeper.ports.tier import StagingFolder

OWNER = StagingId("cccccccccccc")
SIZES = (0, 1, 4096, 4 << 20, (4 << 20) + 1, (9 << 20) + 12345)
ROWS = dict.fromkeys(LABELS, b"number\n")


def digest_of(content: bytes) -> str:
    return f"blake3:{blake3(content).hexdigest()}"


@dataclass(frozen=True)
class TierSite:
    """Folders with what tests need."""

    root: Path
    tier: PosixTier

    @classmethod
    def create(cls, root: Path) -> TierSite:
        for name in ("bucket", "replica", "flash"):
            (root / name).mkdir()
        return cls(root, PosixTier("flash", root / "flash", root / "bucket", (root / "replica",)))

    def put(self, index: int, size: int, bucket: str = "bucket") -> StagedImage:
        """Store a slide whose bytes follow from its index."""
        content = Random(index).randbytes(size)
        number = SlideNumber(str(100_000_000_000 + index))
        image = StagedImage(number=number, revision=1, extension=".svs", size=size, digest=digest_of(content))
        path = self.root / bucket / image.source
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return image

    def path(self, *names: str) -> Path:
        """Something in the staging's folder."""
        return self.root.joinpath("flash", "cohort", *names)

    def stage(self, images: Sequence[StagedImage]) -> Manifest:
        """Copy all and complete."""
        folder = self.tier.open("cohort", OWNER)
        for image in images:
            assert folder.copy(image, ignore) == image.digest
        folder.settle(images)
        manifest = complete(folder, images)
        folder.close()
        return manifest


def complete(folder: StagingFolder, images: Sequence[StagedImage]) -> Manifest:
    """Write labels, manifest and mark."""
    labels = tuple(LabelFile(target=name, size=len(data), digest=digest_of(data)) for name, data in ROWS.items())
    manifest = manifest_of(plan_of(images), labels)
    folder.complete(manifest, ROWS)
    return manifest


def plan_of(images: Sequence[StagedImage]) -> Plan:
    """The plan of a staging called ``cohort``."""
    cohort = Cohort(sql="true", slides=len(images), size=sum(image.size for image in images), digest="blake3:0", catalog=1)
    return Plan(staging=OWNER, name="cohort", tier="flash", site="site", cohort=cohort, created=datetime.now(UTC), images=tuple(images))


def ignore(count: int) -> None:
    """Nobody wants to know."""
