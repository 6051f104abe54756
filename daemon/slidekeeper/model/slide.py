"""What is known of an anonymized slide: the facts of ``slide.json``, the catalog and the API. No identifier, ever."""

from __future__ import annotations

from slidekeeper.model.identity import BatchId, PackId, SlideNumber, revision_key
from slidekeeper.model.value import Value


class Level(Value):
    """One pyramid level; sizes in pixels."""

    width: int
    height: int
    tile_width: int
    tile_height: int


class ImageFacts(Value):
    """What the format module read from the headers and keeps in the anonymized slide."""

    format: str
    """Name of the format module: ``aperio``, ``generic-tiff``."""
    extension: str
    """Extension of the anonymized file, with the dot: ``.svs``."""
    levels: tuple[Level, ...]
    compression: str
    """The TIFF compression scheme of the full-resolution level, by name: ``jpeg``, ``jpeg2000``, ``lzw``, ``none``."""
    mpp: float | None = None
    """Micrometres per pixel at full resolution, where the slide says so."""
    magnification: float | None = None
    """Nominal objective power, where the slide says so."""
    icc: bool = False
    """Whether the full-resolution level has a colour profile."""
    images: int = 0
    """Images that the file holds, levels and thumbnail; 0 where nobody counted."""
    thumbnail: bool = False
    """Whether one of them is the scanner's thumbnail."""
    removed: tuple[str, ...] = ()
    """Names (never values) of images, tags and keys that were destroyed, sorted: ``image:label``, ``tag:306``, ``key:User``."""


class SlideFacts(Value):
    """Everything the catalog holds of one revision of one slide; written beside the image as ``slide.json``."""

    number: SlideNumber
    revision: int
    pack: PackId
    batch: BatchId
    drop: str
    image: ImageFacts
    size: int
    """Bytes of the anonymized file."""
    digest: str
    """``blake3:<64 hexadecimal digits>`` of the anonymized file."""
    seconds: float
    """Wall time the worker spent on this slide."""
    anonymizer: str
    """Version of Slidekeeper that wrote it."""

    @property
    def file_name(self) -> str:
        """Name of the anonymized image in its revision's folder."""
        return f"{self.number}{self.image.extension}"

    @property
    def key(self) -> str:
        """Bucket key of the revision's folder."""
        return revision_key(self.number, self.revision)
