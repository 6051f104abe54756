"""Proof by another: OpenSlide and tifffile re-read what the splice plan wrote, knowing nothing of how it was planned."""

from __future__ import annotations

import io
import logging
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from warnings import catch_warnings

import openslide
import tifffile
from PIL import Image, ImageCms, TiffImagePlugin

from slidekeeper.errors import Permanent
from slidekeeper.model.slide import ImageFacts

VENDORS = {"aperio": "aperio", "generic-tiff": "generic-tiff"}
"""What OpenSlide calls our formats."""

HARMLESS_TAGS = frozenset(
    {254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317, 320, 322, 323, 324, 325}
    | {330, 338, 339, 347, 529, 530, 531, 532, 32997, 34675}
)
"""This reader's own list: geometry, coding and colour of pixels."""

DESCRIPTION, TILE_WIDTH = 270, 322
UNREADABLE = (OSError, SyntaxError, ValueError, KeyError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for a TIFF that is not its kind, JPEG 2000 for one."""

EXIF_DIRECTORIES = (34665, 34853, 40965)
"""Exif, GPS, interoperability."""

MPP_TOLERANCE = 0.001
THUMBNAIL_QUALITY = 85
OPAQUE = 255
BAND_PIXELS = 16_000_000
"""Pixels that are decoded at once: a slide without a pyramid may have billions."""


@dataclass(frozen=True, slots=True)
class IndependentReader:
    """Implements :class:`slidekeeper.ports.proof.Reader`."""

    def verify(self, path: Path, facts: ImageFacts) -> None:
        """Compare the finished file with what was planned.

        Raises:
            Permanent: ``proof-failed``, with the first difference.
        """
        with _quiet_tifffile(), _open_slide(path) as slide:
            _verify_with_openslide(slide, facts)
        with _quiet_tifffile():
            _verify_with_tifffile(path, facts)

    def embedded_texts(self, stream: BinaryIO) -> Sequence[bytes]:
        """Values of a picture's Exif directories, comments, XMP and text chunks."""
        try:
            with catch_warnings(action="ignore"), Image.open(stream) as picture:
                exif = picture.getexif()
                values = [
                    *(value for key, value in picture.info.items() if key != "exif"),
                    *exif.values(),
                    *(each for tag in EXIF_DIRECTORIES for each in exif.get_ifd(tag).values()),
                ]
        except UNREADABLE:
            return []
        return [value if isinstance(value, bytes) else value.encode(errors="replace") for value in values if isinstance(value, str | bytes)]

    def thumbnail(self, path: Path, longest_side: int) -> bytes:
        """A JPEG of the whole slide, made from its pixels, without any metadata."""
        with _open_slide(path) as slide:
            image = _reduced(path, slide, longest_side)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=THUMBNAIL_QUALITY)
        return stream.getvalue()


@contextmanager
def _open_slide(path: Path) -> Iterator[openslide.OpenSlide]:
    try:
        slide = openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as refused:
        raise Permanent("proof-failed", f"OpenSlide cannot open the result ({type(refused).__name__})") from None
    try:
        yield slide
    except openslide.OpenSlideError as refused:
        raise Permanent("proof-failed", f"OpenSlide cannot read the result ({type(refused).__name__})") from None
    finally:
        slide.close()


@contextmanager
def _quiet_tifffile() -> Iterator[None]:
    """tifffile's warnings quote values of tags."""
    logger = logging.getLogger("tifffile")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _reduced(path: Path, slide: openslide.OpenSlide, longest_side: int) -> Image.Image:
    """The whole slide at most ``longest_side`` pixels wide and high, made of bands of the level that is just larger."""
    width, height = slide.dimensions
    scale = max(1.0, max(width, height) / longest_side)
    level = slide.get_best_level_for_downsample(scale)
    across, down = slide.level_dimensions[level]
    size = max(1, round(width / scale)), max(1, round(height / scale))
    whole = _read_by_libtiff(path, (across, down)) if across * down <= BAND_PIXELS else None
    if whole is not None:
        return whole.resize(size, Image.Resampling.BOX)
    reduced = Image.new("RGB", size, "white")
    rows = max(1, min(reduced.height, BAND_PIXELS * reduced.height // (across * down)))
    for top in range(0, reduced.height, rows):
        bottom = min(top + rows, reduced.height)
        first, last = (round(edge * down / reduced.height) for edge in (top, bottom))
        band = slide.read_region((0, round(first * height / down)), level, (across, max(1, last - first)))
        reduced.paste(_flat(band).resize((reduced.width, bottom - top), Image.Resampling.BOX), (0, top))
    return reduced


def _read_by_libtiff(path: Path, size: tuple[int, int]) -> Image.Image | None:
    """The tiled image of this size, by Pillow and libtiff; four times as fast as OpenSlide. None where they cannot read it."""
    try:
        with TiffImagePlugin.TiffImageFile(path) as file:
            for frame in range(file.n_frames):
                file.seek(frame)
                if file.size == size and TILE_WIDTH in file.tag_v2:
                    return file.convert("RGB")
    except UNREADABLE:
        return None
    return None


def _flat(band: Image.Image) -> Image.Image:
    """The band on white, where it has holes."""
    if band.getchannel("A").getextrema() == (OPAQUE, OPAQUE):
        return band.convert("RGB")
    flat = Image.new("RGB", band.size, "white")
    flat.paste(band, mask=band)
    return flat


def _verify_with_openslide(slide: openslide.OpenSlide, facts: ImageFacts) -> None:
    _require(slide.properties.get(openslide.PROPERTY_NAME_VENDOR) == VENDORS[facts.format], "vendor")
    _require(slide.dimensions == (facts.levels[0].width, facts.levels[0].height), "dimensions")
    _require(not Counter(slide.level_dimensions) - Counter(_sizes(facts)), "levels")
    _require(not {"label", "macro"} & set(slide.associated_images), "label or macro image")
    _require(list(slide.associated_images) == ["thumbnail"] * facts.thumbnail, "associated image")
    _require(_has_profile(slide) == facts.icc, "colour profile")
    mpp = slide.properties.get(openslide.PROPERTY_NAME_MPP_X)
    if facts.mpp is not None and mpp is not None:
        _require(abs(float(mpp) - facts.mpp) <= MPP_TOLERANCE * facts.mpp, "resolution")
    slide.read_region((0, 0), slide.level_count - 1, (1, 1))


def _has_profile(slide: openslide.OpenSlide) -> bool:
    """Whether there is a colour profile, and the library for colours can read it."""
    try:
        return slide.color_profile is not None
    except (OSError, ImageCms.PyCMSError) as refused:
        raise Permanent("proof-failed", f"the colour profile of the result cannot be read ({type(refused).__name__})") from None


def _sizes(facts: ImageFacts) -> list[tuple[int, int]]:
    return [(level.width, level.height) for level in facts.levels]


def _verify_with_tifffile(path: Path, facts: ImageFacts) -> None:
    try:
        with tifffile.TiffFile(path) as file:
            pages = [page for page in file.pages if isinstance(page, tifffile.TiffPage)]
            pages += [sub for page in pages for sub in (page.pages or ()) if isinstance(sub, tifffile.TiffPage)]
            for page in pages:
                _verify_page(page, facts)
            tiled = [(page.imagewidth, page.imagelength) for page in pages if page.is_tiled]
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError) as refused:
        raise Permanent("proof-failed", f"tifffile cannot read the result ({type(refused).__name__})") from None
    _require(Counter(tiled) == Counter(_sizes(facts)), "levels")
    _require(len(pages) == facts.images and len(pages) - len(tiled) == facts.thumbnail, "number of images")


def _verify_page(page: tifffile.TiffPage, facts: ImageFacts) -> None:
    for tag in page.tags:
        _require(tag.code in HARMLESS_TAGS, f"tag {tag.code}")
    _require(page.subfiletype in (0, 1) if page.is_tiled else page.subfiletype == 0, "an image that is no level")
    _require(facts.format == "aperio" or DESCRIPTION not in page.tags, "image description")


def _require(equal: bool, what: str) -> None:
    if not equal:
        raise Permanent("proof-failed", f"an independent reader finds another {what} than was planned")
