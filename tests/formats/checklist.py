"""What "clean" must mean, checked by tifffile and by bare search, knowing nothing of how the plan was made."""

from __future__ import annotations

import hashlib
import io
import os
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from slidekeeper.adapters.bucket.splicing import execute
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.model.splice import Anonymization, Content
from slidekeeper.ports.formats import Source

ALLOWED_TAGS = frozenset(
    {254, *range(256, 260), 262, 266, 270, 273, 274, *range(277, 280), *range(282, 285), 296, 317, 320, *range(322, 326), 330}
    | {338, 339, 347, *range(529, 533), 32997, 34675}
)
"""Baseline geometry, coding and colour, and the description, which has its own tests."""

WINDOW, DISTINCT = 24, 12
SHORTEST_IN_PIXELS = 7


@dataclass(frozen=True)
class Outcome:
    """A slide before and after."""

    before: bytes
    after: bytes
    anonymization: Anonymization

    @property
    def texts(self) -> set[str]:
        """Removed values that the proof looks for."""
        return {text.reveal().decode(errors="replace") for text in self.anonymization.texts}

    @property
    def removed(self) -> tuple[str, ...]:
        """Names of what went."""
        return self.anonymization.facts.removed


def source_of(data: bytes) -> Source:
    """An open slide in memory."""
    return Source(io.BytesIO(data), len(data))


def plan_of(data: bytes) -> Anonymization:
    """Recognize and plan."""
    source = source_of(data)
    return SupportedFormats().recognize(source).plan(source)


def anonymized(data: bytes, folder: Path) -> Outcome:
    """Plan, and write ``folder/anonymized.tif`` as the bucket does."""
    anonymization = plan_of(data)
    target = os.open(folder / "anonymized.tif", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        inspection = anonymization.inspection() if anonymization.inspection else None
        execute(anonymization.plan, io.BytesIO(data), target, inspection.feed if inspection else _uninterested)
        assert inspection is None or inspection.fault() == ""
    finally:
        os.close(target)
    return Outcome(data, (folder / "anonymized.tif").read_bytes(), anonymization)


def _uninterested(_span: memoryview, _content: Content) -> None:
    pass


def plain_spellings(text: str) -> set[bytes]:
    """A text in every character set, in lower case."""
    return {text.lower().encode(coding, "replace") for coding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")}


def base64_spellings(text: str) -> set[bytes]:
    """The part of a text's Base64 that does not depend on its neighbours, at every alignment; shorter ones occur by chance."""
    coded = {b64encode(bytes(shift) + text.encode())[4 if shift else 0 :].rstrip(b"=")[:-1] for shift in range(3)}
    return {part for part in coded if len(part) >= SHORTEST_IN_PIXELS}


def found_in(data: bytes, texts: tuple[str, ...]) -> list[str]:
    """Those of ``texts`` that occur, in whatever encoding."""
    lower = data.lower()
    return [
        text
        for text in texts
        if any(spelling in lower for spelling in plain_spellings(text)) or any(spelling in data for spelling in base64_spellings(text))
    ]


def pages_of(data: bytes) -> Iterator[tuple[tifffile.TiffFile, tifffile.TiffPage]]:
    """All images of a file, sub-directories included, as tifffile reads them."""
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        for page in file.pages:
            yield file, page
            for sub in page.pages or ():
                yield file, sub


def tile_digests(data: bytes) -> dict[tuple[int, int], list[str]]:
    """By size of level: what every tile's coded bytes hash to."""
    return {
        (page.imagewidth, page.imagelength): [hashlib.sha256(data[at : at + length]).hexdigest() for at, length in _chunks(page)]
        for _, page in pages_of(data)
        if page.is_tiled
    }


def bytes_of_images(data: bytes, subfile_types: set[int]) -> bytes:
    """The coded bytes of images of strips with these NewSubfileTypes."""
    return b"".join(
        data[at : at + length]
        for _, page in pages_of(data)
        if not page.is_tiled and int(page.subfiletype) in subfile_types
        for at, length in _chunks(page)
    )


def shared_windows(destroyed: bytes, output: bytes) -> int:
    """How many 24-byte windows of a destroyed image occur in the output.

    Windows of one byte only, and monotonous ones within coded pixels, do not count: they are in every picture. A JPEG counts
    from its scan on: the tables before are the encoder's and the same in all images.
    """
    begin = max(destroyed.find(b"\xff\xda"), 0) if destroyed.startswith(b"\xff\xd8") else 0
    telling = {window for at in range(begin, len(destroyed) - WINDOW) if len(set(window := destroyed[at : at + WINDOW])) > 1}
    assert telling, "the destroyed image has nothing to recognize it by"
    hits = [at for at in range(len(output) - WINDOW) if output[at : at + WINDOW] in telling]
    pixels = _reached_by_pixels(output) if hits else np.empty(0, np.bool_)
    return sum(not pixels[at] or len(set(output[at : at + WINDOW])) >= DISTINCT for at in hits)


def _reached_by_pixels(data: bytes) -> NDArray[np.bool_]:
    reached = np.zeros(len(data), np.bool_)
    for _, page in pages_of(data):
        for at, length in _chunks(page):
            reached[at : at + length] = page.is_tiled
    return reached


def unreferenced_bytes(data: bytes) -> int:
    """How many bytes are neither zero nor reached by the header, a directory, an allowed tag's value, a tile or a strip."""
    reached = np.zeros(len(data), np.bool_)
    for file, page in pages_of(data):
        layout = file.tiff
        reached[: 16 if file.is_bigtiff else 8] = True
        reached[page.offset :][: layout.tagnosize + len(page.tags) * layout.tagsize + layout.offsetsize] = True
        for tag in page.tags:
            assert tag.code in ALLOWED_TAGS, f"tag {tag.code} is not allowed"
            reached[tag.valueoffset :][: tag.valuebytecount] = True
        for at, length in _chunks(page):
            reached[at : at + length] = True
    return int(np.count_nonzero(_array(data)[~reached]))


def tag_bytes(data: bytes, code: int) -> list[bytes]:
    """The raw value of a tag in every image that has it."""
    found = [page.tags[code] for _, page in pages_of(data) if code in page.tags]
    return [data[tag.valueoffset : tag.valueoffset + tag.valuebytecount] for tag in found]


def _chunks(page: tifffile.TiffPage) -> list[tuple[int, int]]:
    return list(zip(page.dataoffsets, page.databytecounts, strict=True))


def _array(data: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)
