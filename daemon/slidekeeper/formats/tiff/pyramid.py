"""Sorts a file's images into the levels of one pyramid and the rest, by structure alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.image import Image, read_image
from slidekeeper.formats.tiff.reading import Tiff, read_tiff
from slidekeeper.ports.formats import Source


def read_images(tiff: Tiff) -> list[Image]:
    """All images of the file, in order; read once for each source."""
    parsed = tiff.source.parsed
    if "images" not in parsed:
        parsed["images"] = [read_image(tiff, directory) for directory in tiff.everyone()]
    return cast(list[Image], parsed["images"])


def levels_of(images: Sequence[Image]) -> list[Image]:
    """The pyramid: the first image, and every tiled one that shows the same area at a lower resolution."""
    base = images[0]
    if not base.tiled:
        raise Permanent("unsupported-format", "the first image is not tiled")
    return [base, *(image for image in images[1:] if image.tiled and image.has_shape_of(base))]


def missing_part(source: Source) -> str:
    """Why the file is not whole, or an empty string: every directory, value and tile it refers to must lie inside."""
    if source.size == 0:
        return "empty-file"
    try:
        tiff = read_tiff(source)
        if any(entry.offset + entry.length > source.size for directory in tiff.everyone() for entry in directory.entries):
            return "truncated"
        read_images(tiff)
    except Permanent as damage:
        return "truncated" if damage.reason == "truncated" else ""
    return ""


def without(images: Iterable[Image], chosen: Iterable[Image]) -> list[Image]:
    """The images that were not chosen."""
    offsets = {image.directory.offset for image in chosen}
    return [image for image in images if image.directory.offset not in offsets]
