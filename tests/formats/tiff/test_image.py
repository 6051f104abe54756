"""A directory is taken for an image only where size, tiles and their places agree."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.checklist import source_of
from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.image import COMPRESSIONS, Image, read_image
from slidekeeper.formats.tiff.pyramid import levels_of, missing_part, read_images, without
from slidekeeper.formats.tiff.reading import read_tiff
from writers.minimal import TILE, minimal_slide, noise, with_tags
from writers.tiff import ASCII, LONG, LONG8, SHORT, Tag, tissue_tile


def images_of(data: bytes) -> list[Image]:
    """All images of a file."""
    return read_images(read_tiff(source_of(data)))


def refusal(*tags: Tag) -> str:
    """Why a slide of one tile with these tags is refused, or an empty string."""
    tiff = read_tiff(source_of(minimal_slide(with_tags(*tags))))
    try:
        read_image(tiff, tiff.directories[0])
    except Permanent as refused:
        return refused.reason
    return ""


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True), (">", True)])
def test_an_image_of_tiles_tells_its_geometry_and_where_tiles_lie(order: str, big: bool) -> None:
    tiles = [tissue_tile(1, TILE), tissue_tile(2, TILE), tissue_tile(3, TILE)]
    data = minimal_slide(tiles=tiles, order=order, big=big)
    image = images_of(data)[0]
    assert (image.width, image.height, image.tile_width, image.tile_height, image.tiled) == (3 * TILE, TILE, TILE, TILE, True)
    assert (image.chunks, image.subfile_type, image.compression) == (3, 0, "jpeg")
    assert [data[start:end] for start, end in image.ranges] == tiles
    assert (image.level.width, image.level.tile_width) == (3 * TILE, TILE)


def test_an_image_of_strips_has_no_tiles() -> None:
    picture = noise(1)
    data = minimal_slide(asides=[(9, picture)])
    image = images_of(data)[1]
    assert (image.tiled, image.tile_width, image.subfile_type, image.compression, image.chunks) == (False, 0, 9, "none", 1)
    assert [data[start:end] for start, end in image.ranges] == [picture.tobytes()]


def test_empty_tiles_are_counted_but_have_no_range() -> None:
    image = images_of(minimal_slide(tiles=[tissue_tile(1, TILE), b""]))[0]
    assert (image.chunks, len(image.ranges)) == (2, 1)


@pytest.mark.parametrize(("number", "name"), [*COMPRESSIONS.items(), (4711, "unknown")])
def test_compression_is_told_by_name(number: int, name: str) -> None:
    assert images_of(minimal_slide(compression=number))[0].compression == name


@pytest.mark.parametrize(
    "tag",
    [
        (256, LONG, [0]),
        (257, LONG, [0]),
        (256, LONG, [2**31]),
        (322, SHORT, [0]),
        (323, SHORT, [0]),
        (256, SHORT, [1, 1]),
        (257, ASCII, b"256"),
        (256, LONG, [TILE + 1]),
        (257, LONG, [2**31 - 1]),
        (322, SHORT, [1]),
        (324, LONG, [8, 8]),
        (325, LONG, [8, 8]),
        (324, ASCII, b"abc"),
        (325, LONG, []),
        (259, SHORT, []),
    ],
    ids=str,
)
def test_an_image_whose_numbers_do_not_agree_is_malformed(tag: Tag) -> None:
    assert refusal(tag) == "malformed-tiff"


@pytest.mark.parametrize(
    "tag", [(324, LONG, [2**32 - 1]), (325, LONG, [2**32 - 1]), (324, LONG8, [2**64 - 1]), (325, LONG8, [2**62]), (324, LONG8, [2**63])]
)
def test_tiles_past_the_end_are_truncated(tag: Tag) -> None:
    assert refusal(tag) == "truncated"


def test_planes_of_their_own_have_tiles_of_their_own() -> None:
    assert refusal((284, SHORT, [2])) == "malformed-tiff"
    assert refusal((284, SHORT, [2]), (277, SHORT, [1])) == ""


def sized(size: tuple[int, int]) -> Image:
    """An image of this size, of one tile."""
    tags: Sequence[Tag] = [(256, LONG, [size[0]]), (257, LONG, [size[1]]), (322, LONG, [size[0]]), (323, LONG, [size[1]])]
    return images_of(minimal_slide(with_tags(*tags)))[0]


@pytest.mark.parametrize("size", [(40000, 30000), (10000, 7500), (2501, 1876), (625, 469), (4, 3)])
def test_a_lower_resolution_of_the_same_area_has_its_shape(size: tuple[int, int]) -> None:
    assert sized(size).has_shape_of(sized((40000, 30000)))


@pytest.mark.parametrize("size", [(1280, 431), (600, 600), (469, 625), (40001, 30000), (40000, 30001), (80000, 60000)])
def test_another_area_or_a_larger_image_does_not(size: tuple[int, int]) -> None:
    assert not sized(size).has_shape_of(sized((40000, 30000)))


@settings(max_examples=60, deadline=None)
@given(st.integers(600, 100000), st.integers(600, 100000), st.sampled_from([2, 4, 8, 16, 32]), st.booleans())
def test_every_level_has_the_shape_of_its_base_however_it_was_rounded(width: int, height: int, factor: int, up: bool) -> None:
    level = (-(-width // factor), -(-height // factor)) if up else (width // factor, height // factor)
    assert sized(level).has_shape_of(sized((width, height)))


def test_a_narrow_level_has_the_shape_of_its_base_though_its_width_was_rounded() -> None:
    assert sized((20095 // 128, 100000 // 128)).has_shape_of(sized((20095, 100000)))
    assert not sized((159, 781)).has_shape_of(sized((20095, 100000)))
    assert not sized((156, 790)).has_shape_of(sized((20095, 100000)))


def test_levels_are_the_tiled_images_of_the_first_ones_shape() -> None:
    data = minimal_slide(asides=[(0, noise(1, (64, 64))), (1, noise(2))])
    images = images_of(data)
    assert levels_of(images) == [images[0]]
    assert without(images, levels_of(images)) == images[1:]


def test_a_file_whose_first_image_has_no_tiles_has_no_pyramid() -> None:
    with pytest.raises(Permanent) as refused:
        levels_of(images_of(minimal_slide(asides=[(1, noise(1))]))[1:])
    assert refused.value.reason == "unsupported-format"


def test_a_file_is_whole_when_all_it_refers_to_is_inside() -> None:
    data = minimal_slide(asides=[(1, noise(1))])
    assert missing_part(source_of(data)) == ""
    assert missing_part(source_of(b"")) == "empty-file"
    assert {missing_part(source_of(data[:length])) for length in range(20, len(data), 211)} == {"truncated"}


def test_damage_that_waiting_does_not_mend_is_not_called_missing() -> None:
    assert missing_part(source_of(minimal_slide(with_tags((256, LONG, [0]))))) == ""
    assert missing_part(source_of(b"not a slide at all")) == ""
