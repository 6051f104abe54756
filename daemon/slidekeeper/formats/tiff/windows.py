"""Samples of a destroyed image's coded bytes, by which the proof recognizes it wherever it may have survived."""

from __future__ import annotations

import numpy as np

from slidekeeper.formats.tiff.image import Image, Ranges
from slidekeeper.formats.tiff.segments import scan_start
from slidekeeper.model.splice import Secret
from slidekeeper.ports.formats import Source

WINDOW_BYTES = 24
WINDOWS_PER_IMAGE = 24
DISTINCT_BYTES = 12
"""A sample with fewer different bytes is background, which other images may share."""

HEADER_SHARE = 4
"""Samples are taken behind the first quarter of a strip, and of a JPEG behind the tables, which kept images may share."""

HEADER_SAMPLE = 16384
"""Bytes of a strip that are read to see where its tables end."""


def spread(ranges: Ranges, most: int) -> Ranges:
    """Up to ``most`` of the ranges at even distances, the first and the last among them."""
    chosen: Ranges = ranges[np.unique(np.linspace(0, len(ranges) - 1, min(len(ranges), most)).astype(int))]
    return chosen


def sample_windows(image: Image, source: Source) -> list[Secret]:
    """Up to 24 samples of 24 bytes, spread over the image."""
    lengths = image.ranges[:, 1] - image.ranges[:, 0]
    usable = image.ranges[lengths >= HEADER_SHARE * WINDOW_BYTES]
    if len(usable) == 0:
        return []
    chosen = spread(usable, WINDOWS_PER_IMAGE)
    per_strip = -(-WINDOWS_PER_IMAGE // len(chosen))
    found: list[Secret] = []
    for start, end in chosen:
        first, last = _first_sample(source, int(start), int(end)), int(end) - WINDOW_BYTES - 2
        for at in np.linspace(first, last, per_strip).astype(int) if first <= last else ():
            window = source.read_at(int(at), WINDOW_BYTES)
            if len(set(window)) >= DISTINCT_BYTES:
                found.append(Secret(window))
    return found


def _first_sample(source: Source, start: int, end: int) -> int:
    """Behind the first quarter, and behind the tables."""
    header = source.read_at(start, min(end - start, HEADER_SAMPLE))
    return start + max((end - start) // HEADER_SHARE, scan_start(header))
