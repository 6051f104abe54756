"""Writes the smallest slide that is one, of one tile or a few, for tests that bend a single field of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from random import Random

from PIL import Image

from writers.tiff import ASCII, LONG, SHORT, Tag, TiffWriter, offsets_tag, tissue_tile

TILE = 256
DESCRIPTION = b"Aperio Image Library v12.0.15 \r\n256x256 [0,0 256x256] (256x256) JPEG/YCC Q=80|AppMag = 40|MPP = 0.25|User = op.nobody"

Bend = Callable[[TiffWriter, list[Tag]], list[Tag]]
"""Changes the tags of the first image; may write values of its own."""


def unbent(_writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
    """Leave everything as it is."""
    return tags


def with_tags(*more: Tag) -> Bend:
    """Add tags, or put them in the place of those of the same number."""
    numbers = {tag[0] for tag in more}
    return lambda _writer, tags: [*(tag for tag in tags if tag[0] not in numbers), *more]


def minimal_slide(
    bend: Bend = unbent,
    *,
    description: bytes | None = DESCRIPTION,
    tiles: Sequence[bytes] | None = None,
    compression: int = 7,
    asides: Sequence[tuple[int, Image.Image]] = (),
    order: str = "<",
    big: bool = False,
) -> bytes:
    """The bytes of one slide.

    Args:
        bend: changes the first image's tags.
        description: of the first image; None leaves it out.
        tiles: coded tiles beside each other.
        compression: TIFF's number of how tiles are coded.
        asides: further images of one uncompressed strip: NewSubfileType and picture.
        order: ``<`` or ``>``.
        big: BigTIFF.
    """
    coded = list(tiles) if tiles is not None else [tissue_tile(1, TILE)]
    stream = io.BytesIO()
    writer = TiffWriter(stream, order, big)
    offsets = [writer.blob(tile) for tile in coded]
    tags: list[Tag] = [
        (254, LONG, [0]),
        (256, LONG, [TILE * len(coded)]),
        (257, LONG, [TILE]),
        (258, SHORT, [8, 8, 8]),
        (259, SHORT, [compression]),
        (262, SHORT, [6]),
        (277, SHORT, [3]),
        (322, SHORT, [TILE]),
        (323, SHORT, [TILE]),
        offsets_tag(324, offsets, big),
        offsets_tag(325, [len(tile) for tile in coded], big),
    ]
    if description is not None:
        tags.append((270, ASCII, description))
    writer.directory(bend(writer, tags))
    for subfile, picture in asides:
        aside(writer, subfile, picture)
    return stream.getvalue()


def aside(writer: TiffWriter, subfile: int, picture: Image.Image, *more: Tag, link: bool = True) -> int:
    """Append an image of one strip; returns its directory's offset. Without ``link`` it hangs in no chain."""
    data = picture.tobytes()
    offset = writer.blob(data)
    return writer.directory(
        [
            (254, LONG, [subfile]),
            (256, LONG, [picture.width]),
            (257, LONG, [picture.height]),
            (258, SHORT, [8, 8, 8]),
            (259, SHORT, [1]),
            (262, SHORT, [2]),
            (277, SHORT, [3]),
            (278, SHORT, [picture.height]),
            offsets_tag(273, [offset], writer.big),
            offsets_tag(279, [len(data)], writer.big),
            *more,
        ],
        link,
    )


def noise(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A picture whose bytes occur nowhere else."""

    return Image.frombytes("RGB", size, Random(seed).randbytes(3 * size[0] * size[1]))


def tile_with_segment(marker: int, body: bytes) -> bytes:
    """A JPEG tile with one more segment behind its first marker."""
    tile = tissue_tile(1, TILE)
    return tile[:2] + marker.to_bytes(2, "big") + (len(body) + 2).to_bytes(2, "big") + body + tile[2:]
