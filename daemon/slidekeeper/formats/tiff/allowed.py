"""The tags that a kept image may have, as a table: everything else is removed, known or not.

A tag is allowed with the types, counts and values that make sense for it, so that nothing can hide in a field that has more values
than an image needs, or values that no reader understands. Numbers of any size are left only where pixels cannot be found without.

Source: TIFF 6.0; its Supplement 2 (Adobe, 2002) for compressions; SGI's TIFF extensions for ImageDepth.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

from slidekeeper.formats.tiff.image import BITS, COMPRESSION, COMPRESSIONS, JPEG_TABLES, SAMPLES, Image
from slidekeeper.formats.tiff.reading import INTEGER_CODES, Entry, Tiff

PHOTOMETRIC, ICC_PROFILE = 262, 34675
PALETTE, MOST_PALETTE_BITS = 3, 16

NUMBERS = frozenset(INTEGER_CODES)
SHORTS, RATIONALS, BYTES = frozenset({3}), frozenset({5}), frozenset({1, 7})
SIDE = range(1, 1 << 31)


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule may depend on."""

    image: Image
    samples: int
    """Of a pixel."""
    colours: int
    """Of a palette, 0 where there can be none."""

    @classmethod
    def of(cls, tiff: Tiff, image: Image) -> Context:
        """Read it; a number that is not there or cannot be read has its default."""
        photometric, samples, bits = (_first_number(tiff, image, tag, 1) for tag in (PHOTOMETRIC, SAMPLES, BITS))
        return cls(image, samples, 1 << bits if photometric == PALETTE and samples == 1 and bits <= MOST_PALETTE_BITS else 0)


Count = Callable[[Context], int]
"""A number of values, by context."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What an allowed tag's value may be."""

    types: frozenset[int]
    least: int | Count = 1
    most: int | Count = 1
    values: Container[int] | None = None
    """Those that make sense, of integers; None for any."""
    ratio: Callable[[int, int], bool] | None = None
    """Which numerators and denominators make sense; None for any."""
    where: Callable[[Context], bool] = lambda _context: True
    """In which images it makes sense at all."""

    def allows(self, tiff: Tiff, entry: Entry, context: Context) -> bool:
        """Whether an entry obeys."""
        least, most = (count if isinstance(count, int) else count(context) for count in (self.least, self.most))
        if entry.type not in self.types or not least <= entry.count <= most or not self.where(context):
            return False
        if self.values is not None and not all(value in self.values for value in tiff.integers(entry)):
            return False
        return self.ratio is None or all(self.ratio(*pair) for pair in _ratios(tiff, entry))


def _chunks(context: Context) -> int:
    return context.image.chunks


def _samples(context: Context) -> int:
    return context.samples


def _palette(context: Context) -> int:
    return 3 * context.colours


def _is_tiled(context: Context) -> bool:
    return context.image.tiled


def _is_of_strips(context: Context) -> bool:
    return not context.image.tiled


def _has_palette(context: Context) -> bool:
    return context.colours > 0


def _is_jpeg(context: Context) -> bool:
    return context.image.compression in ("jpeg", "jpeg-old")


def _resolution(numerator: int, denominator: int) -> bool:
    """Pixels per inch or centimetre. Four letters make a larger denominator than any encoder writes for a slide's resolution."""
    return 0 < denominator < 1 << 24 and numerator <= denominator * 10**7


def _weight(numerator: int, denominator: int) -> bool:
    """A share of one, given in decimals."""
    return numerator <= denominator <= 10**6 and denominator > 0


def _sample_value(numerator: int, denominator: int) -> bool:
    """A whole number of at most 16 bits."""
    return numerator < 1 << 16 and denominator == 1


ALLOWED: Mapping[int, Rule] = {
    254: Rule(NUMBERS, values=range(16)),
    256: Rule(NUMBERS, values=SIDE),
    257: Rule(NUMBERS, values=SIDE),
    BITS: Rule(SHORTS, most=_samples, values={1, 2, 4, 8, 10, 12, 14, 16, 32, 64}),
    COMPRESSION: Rule(NUMBERS, values=COMPRESSIONS.keys()),
    PHOTOMETRIC: Rule(NUMBERS, values={*range(7), 8, 9, 10}),
    266: Rule(NUMBERS, values={1, 2}),
    273: Rule(NUMBERS, least=0, most=_chunks, where=_is_of_strips),
    274: Rule(NUMBERS, values=range(1, 9)),
    SAMPLES: Rule(NUMBERS, values=range(1, 65)),
    278: Rule(NUMBERS, where=_is_of_strips),
    279: Rule(NUMBERS, least=0, most=_chunks, where=_is_of_strips),
    282: Rule(RATIONALS, ratio=_resolution),
    283: Rule(RATIONALS, ratio=_resolution),
    284: Rule(NUMBERS, values={1, 2}),
    296: Rule(NUMBERS, values={1, 2, 3}),
    317: Rule(NUMBERS, values={1, 2, 3}),
    320: Rule(SHORTS, least=_palette, most=_palette, where=_has_palette),
    322: Rule(NUMBERS, values=SIDE, where=_is_tiled),
    323: Rule(NUMBERS, values=SIDE, where=_is_tiled),
    324: Rule(NUMBERS, least=0, most=_chunks, where=_is_tiled),
    325: Rule(NUMBERS, least=0, most=_chunks, where=_is_tiled),
    338: Rule(SHORTS, most=_samples, values=range(3)),
    339: Rule(SHORTS, most=_samples, values=range(1, 7)),
    JPEG_TABLES: Rule(BYTES, least=4, most=1 << 16, where=_is_jpeg),
    529: Rule(RATIONALS, least=3, most=3, ratio=_weight),
    530: Rule(SHORTS, least=2, most=2, values={1, 2, 4}),
    531: Rule(NUMBERS, values={1, 2}),
    532: Rule(RATIONALS, least=6, most=6, ratio=_sample_value),
    32997: Rule(NUMBERS, values=range(1, 1 << 16)),
    ICC_PROFILE: Rule(BYTES, least=132, most=16 << 20),
}
"""Tags without which a slide cannot be read; ``SubIFDs`` and the description are handled by themselves."""


def _first_number(tiff: Tiff, image: Image, tag: int, default: int) -> int:
    entry = image.directory.entry(tag)
    return tiff.integers(entry)[0] if entry and entry.count and entry.type in INTEGER_CODES else default


def _ratios(tiff: Tiff, entry: Entry) -> list[tuple[int, int]]:
    return list(struct.iter_unpack(f"{tiff.dialect.order}II", tiff.value(entry)))
