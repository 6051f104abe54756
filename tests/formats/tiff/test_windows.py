"""Samples of a destroyed image are telling bytes of it: from all over it, never from its header or its background."""

from __future__ import annotations

import pytest
from PIL import Image as Picture

from formats.checklist import source_of
from slidekeeper.formats.tiff.image import Image
from slidekeeper.formats.tiff.pyramid import read_images
from slidekeeper.formats.tiff.reading import read_tiff
from slidekeeper.formats.tiff.windows import WINDOW_BYTES, WINDOWS_PER_IMAGE, sample_windows
from writers.minimal import minimal_slide, noise, with_tags
from writers.tiff import LONG, SHORT, jpeg


def sampled(picture: Picture.Image) -> tuple[list[bytes], bytes]:
    """The samples of a picture of one strip, and its bytes."""
    source = source_of(minimal_slide(asides=[(1, picture)]))
    image: Image = read_images(read_tiff(source))[1]
    return [window.reveal() for window in sample_windows(image, source)], picture.tobytes()


@pytest.mark.parametrize("size", [(48, 40), (300, 200), (20, 10)])
def test_samples_come_from_all_over_the_image_but_its_beginning(size: tuple[int, int]) -> None:
    windows, data = sampled(noise(1, size))
    places = [data.index(window) for window in windows]
    assert len(windows) == WINDOWS_PER_IMAGE
    assert {len(window) for window in windows} == {WINDOW_BYTES}
    assert min(places) >= len(data) // 4
    assert max(places) >= len(data) * 3 // 4
    assert places == sorted(places)


def test_background_is_not_sampled() -> None:
    assert sampled(Picture.new("RGB", (200, 100), "white"))[0] == []


def test_a_strip_too_short_to_tell_is_not_sampled() -> None:
    assert sampled(noise(1, (5, 5)))[0] == []


def test_a_sample_does_not_show_itself() -> None:
    source = source_of(minimal_slide(asides=[(1, noise(1))]))
    windows = sample_windows(read_images(read_tiff(source))[1], source)
    assert {repr(window) for window in windows} == {"<Secret>"}


@pytest.mark.parametrize("side", [8, 16, 64])
def test_samples_of_a_small_jpeg_come_from_behind_its_tables(side: int) -> None:
    picture = jpeg(noise(1, (side, side)))
    tags = with_tags((256, LONG, [side]), (257, LONG, [side]), (322, SHORT, [side]), (323, SHORT, [side]))
    source = source_of(minimal_slide(tags, tiles=[picture]))
    windows = [window.reveal() for window in sample_windows(read_images(read_tiff(source))[0], source)]
    scan = picture[picture.index(b"\xff\xda") :]
    assert windows
    assert all(window in scan for window in windows)


def test_a_scan_too_short_to_tell_is_not_sampled() -> None:
    picture = jpeg(Picture.new("RGB", (8, 8), "white"))
    tags = with_tags((256, LONG, [8]), (257, LONG, [8]), (322, SHORT, [8]), (323, SHORT, [8]))
    source = source_of(minimal_slide(tags, tiles=[picture]))
    assert sample_windows(read_images(read_tiff(source))[0], source) == []
