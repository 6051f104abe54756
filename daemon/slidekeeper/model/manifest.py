"""What exactly a staging is: source, target, size and digest of every file on the tier. Both the plan and the tier's ``manifest.json``."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from slidekeeper.model.identity import SlideNumber, revision_key
from slidekeeper.model.staging import NAME_PATTERN, Cohort, StagingId
from slidekeeper.model.value import Value

IMAGES = "images"
OWN = ".slidekeeper"
"""Folder in a staging's folder that is Slidekeeper's: parts, progress, owner and the mark that all is complete."""
READY = f"{OWN}/READY"
OWNER = f"{OWN}/staging"
MANIFEST = "manifest.json"
LABELS = ("labels.parquet", "labels.csv")


class StagedImage(Value):
    """One slide's image."""

    number: SlideNumber = Field(pattern=r"^[1-9]\d{11}$")
    revision: int = Field(ge=1)
    extension: str = Field(pattern=r"^\.[a-z0-9]+$")
    size: int = Field(ge=0)
    """Bytes."""
    digest: str = Field(pattern=r"^blake3:[0-9a-f]{64}$")

    @property
    def name(self) -> str:
        """The file's name, in the bucket as on the tier."""
        return f"{self.number}{self.extension}"

    @property
    def source(self) -> str:
        """Its key in the bucket."""
        return f"{revision_key(self.number, self.revision)}/{self.name}"

    @property
    def target(self) -> str:
        """Its path in the staging's folder."""
        return f"{IMAGES}/{self.name}"


class LabelFile(Value):
    """One file with the aligned rows of the cohort."""

    target: str
    size: int
    digest: str


class Plan(Value):
    """The exact list of what is to be staged, largest first."""

    staging: StagingId
    name: str = Field(pattern=NAME_PATTERN)
    tier: str
    site: str
    cohort: Cohort
    created: datetime
    images: tuple[StagedImage, ...]
    withdrawn: int = 0
    """Slides that were taken out of it since, for their consent was withdrawn."""

    @property
    def size(self) -> int:
        """Bytes of all images."""
        return sum(image.size for image in self.images)


class ManifestEntry(Value):
    """One file of the staging."""

    source: str
    """Key in the bucket; empty for what was made for this staging."""
    target: str
    """Path in the staging's folder."""
    size: int
    digest: str


class Manifest(Value):
    """``manifest.json`` as training jobs and auditors read it."""

    staging: StagingId
    name: str
    tier: str
    site: str
    created: datetime
    """When the staging was ordered."""
    cohort: Cohort
    """The condition and the catalog's revision by which the slides were chosen, as they were chosen."""
    withdrawn: int
    files: tuple[ManifestEntry, ...]


def manifest_of(plan: Plan, labels: tuple[LabelFile, ...]) -> Manifest:
    """The manifest of a plan that was carried out."""
    images = [ManifestEntry(source=image.source, target=image.target, size=image.size, digest=image.digest) for image in plan.images]
    made = [ManifestEntry(source="", target=label.target, size=label.size, digest=label.digest) for label in labels]
    shared = {name: getattr(plan, name) for name in ("staging", "name", "tier", "site", "created", "cohort", "withdrawn")}
    return Manifest(files=(*images, *made), **shared)
