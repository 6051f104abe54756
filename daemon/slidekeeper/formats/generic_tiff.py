"""Plain pyramidal TIFF, tiled, its levels in further directories or sub-directories; its description is destroyed.

Files of vendors that put labels into tiled images or identifiers into private tags are not taken for plain ones.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.allowed import ICC_PROFILE
from slidekeeper.formats.tiff.image import TILE_WIDTH
from slidekeeper.formats.tiff.pyramid import levels_of, missing_part, read_images, without
from slidekeeper.formats.tiff.reading import Tiff, is_tiff, read_tiff
from slidekeeper.formats.tiff.rewriting import IMAGE_DESCRIPTION, Rewriter, Selection
from slidekeeper.model.slide import ImageFacts
from slidekeeper.model.splice import Anonymization
from slidekeeper.ports.formats import USUAL, Choices, Source

MAKE, SOFTWARE, XMP, ARGOS, NDPI = 271, 305, 700, 65000, 65420
VENDOR_TEXT = re.compile(
    rb"aperio|philips|hamamatsu|ventana|roche|iscan|leica|zeiss|perkinelmer|akoya|huron|medscan|trestle|motic|<\?xml|<ome|<scn|^\s*<", re.I
)
"""What the descriptions of formats with their own rules begin with or contain."""

RATIONAL, CENTIMETRE = 5, 3
MICROMETRES = {2: 25400.0, CENTIMETRE: 10000.0}
"""By TIFF ResolutionUnit."""


@dataclass(frozen=True, slots=True)
class GenericTiff:
    """Implements :class:`slidekeeper.ports.formats.Format`."""

    name: str = "generic-tiff"

    def recognizes(self, source: Source) -> bool:
        """A tiled TIFF without a vendor's signs."""
        if not is_tiff(source):
            return False
        try:
            tiff = read_tiff(source)
            return tiff.directories[0].entry(TILE_WIDTH) is not None and not _is_vendors(tiff)
        except Permanent:
            return False

    def missing(self, source: Source) -> str:
        """Why the file is not whole."""
        return missing_part(source)

    def plan(self, source: Source, choices: Choices = USUAL) -> Anonymization:
        """Keep the levels, destroy the rest: a thumbnail too, which nothing tells from a label here."""
        tiff = read_tiff(source)
        images = read_images(tiff)
        levels = levels_of(images)
        rest = without(images, levels)
        facts = ImageFacts(
            format="generic-tiff",
            extension=".tif",
            levels=tuple(image.level for image in levels),
            compression=levels[0].compression,
            mpp=_mpp(tiff),
            icc=levels[0].directory.entry(ICC_PROFILE) is not None,
            images=len(levels),
        )
        return Rewriter(tiff, Selection(levels, {"other": rest} if rest else {})).anonymize(facts, [], [])


def _is_vendors(tiff: Tiff) -> bool:
    for directory in tiff.everyone():
        if any(entry.tag in (ARGOS, NDPI) for entry in directory.entries):
            return True
        for tag in (IMAGE_DESCRIPTION, MAKE, SOFTWARE, XMP):
            entry = directory.entry(tag)
            if entry is not None and VENDOR_TEXT.search(tiff.value(entry)):
                return True
    return False


def _mpp(tiff: Tiff) -> float | None:
    """Micrometres per pixel from XResolution and ResolutionUnit, where they say."""
    directory = tiff.directories[0]
    resolution, unit = directory.entry(282), directory.entry(296)
    if resolution is None or unit is None or (resolution.type, resolution.count, unit.count) != (RATIONAL, 1, 1):
        return None
    data = tiff.value(resolution)
    numerator, denominator = struct.unpack(f"{tiff.dialect.order}II", data)
    micrometres = MICROMETRES.get(tiff.integers(unit)[0])
    return round(micrometres * denominator / numerator, 6) if micrometres and numerator and denominator else None
