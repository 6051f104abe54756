"""Aperio SVS, also as other vendors' scanners export it.

Images are told apart by structure alone. Levels are tiled and have the full image's shape. The thumbnail is the file's second
directory, as OpenSlide takes it, if it is a JPEG of strips, has that shape and NewSubfileType 0, and no other image could be it as
well: a label without type may have that shape by chance, but scanners pack labels by LZW. The label (NewSubfileType 1), the macro (9)
and anything else are destroyed; that GT450 scanners give label and macro no description, or that these come in another order,
changes nothing.

Sources: OpenSlide, "Aperio format"; TIFF 6.0 section 8, NewSubfileType.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slidekeeper.errors import Permanent
from slidekeeper.formats.aperio_description import Description
from slidekeeper.formats.tiff.allowed import ICC_PROFILE
from slidekeeper.formats.tiff.image import Image
from slidekeeper.formats.tiff.pyramid import levels_of, missing_part, read_images, without
from slidekeeper.formats.tiff.reading import Tiff, is_tiff, read_tiff
from slidekeeper.formats.tiff.rewriting import IMAGE_DESCRIPTION, Rewriter, Selection
from slidekeeper.model.slide import ImageFacts
from slidekeeper.model.splice import Anonymization
from slidekeeper.ports.formats import USUAL, Choices, Source

LABEL, MACRO, FULL = 1, 9, 0
THUMBNAIL_COMPRESSION = "jpeg"


@dataclass(frozen=True, slots=True)
class Aperio:
    """Implements :class:`slidekeeper.ports.formats.Format`."""

    name: str = "aperio"

    def recognizes(self, source: Source) -> bool:
        """A TIFF whose first description begins with ``Aperio``."""
        if not is_tiff(source):
            return False
        try:
            tiff = read_tiff(source)
            return _description(tiff, tiff.directories[0].offset).startswith(b"Aperio")
        except Permanent:
            return False

    def missing(self, source: Source) -> str:
        """Why the file is not whole."""
        return missing_part(source)

    def plan(self, source: Source, choices: Choices = USUAL) -> Anonymization:
        """Keep levels and thumbnail, destroy the rest."""
        tiff = read_tiff(source)
        images = read_images(tiff)
        levels = levels_of(images)
        thumbnail = _thumbnail(tiff, without(images, levels), levels[0]) if choices.keep_thumbnail else []
        kept = [*levels, *thumbnail]
        kept.sort(key=lambda image: [other.directory.offset for other in images].index(image.directory.offset))
        descriptions = [Description.parse(_description(tiff, image.directory.offset)) for image in images]
        selection = Selection(kept, _by_name(without(images, kept)), _describe)
        texts = [value for description in descriptions for value in description.removed_values()]
        keys = [key for description in descriptions for key in description.removed_keys()]
        return Rewriter(tiff, selection).anonymize(_facts(levels, descriptions[0], len(thumbnail)), texts, keys)


def _describe(image: Image, text: bytes) -> bytes:
    return Description.parse(text).anonymized(image.width, image.height)


def _description(tiff: Tiff, offset: int) -> bytes:
    directory = next(directory for directory in tiff.everyone() if directory.offset == offset)
    entry = directory.entry(IMAGE_DESCRIPTION)
    return tiff.value(entry).rstrip(b"\0") if entry else b""


def _thumbnail(tiff: Tiff, images: Sequence[Image], base: Image) -> Sequence[Image]:
    """The thumbnail, if the second directory is the only candidate, and a JPEG; two would mean that one of them is something else."""
    candidates = [image for image in images if not image.tiled and image.subfile_type == FULL and image.has_shape_of(base)]
    second = [directory.offset for directory in tiff.directories[1:2]]
    match candidates:
        case [only] if only.compression == THUMBNAIL_COMPRESSION and only.directory.offset in second:
            return [only]
    return []


def _by_name(images: Sequence[Image]) -> dict[str, list[Image]]:
    named: dict[str, list[Image]] = {}
    for image in images:
        name = {LABEL: "label", MACRO: "macro"}.get(image.subfile_type, "other") if not image.tiled else "other"
        named.setdefault(name, []).append(image)
    return named


def _facts(levels: Sequence[Image], description: Description, thumbnails: int) -> ImageFacts:
    return ImageFacts(
        format="aperio",
        extension=".svs",
        levels=tuple(image.level for image in levels),
        compression=levels[0].compression,
        mpp=description.number("MPP"),
        magnification=description.number("AppMag"),
        icc=levels[0].directory.entry(ICC_PROFILE) is not None,
        images=len(levels) + thumbnails,
        thumbnail=thumbnails > 0,
    )
