"""The image description of Aperio slides: read by its grammar, written anew from what is known to be harmless.

Grammar, as scanners write it::

    <software>\\r\\n<geometry> <codec> Q=n[;<older software and geometry>...]|Key = Value|Key = Value...

Values may hold ``=``, be empty or missing, and use a decimal comma. Source: OpenSlide, "Aperio format".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

NUMBER = re.compile(r"-?(0|[1-9]\d{0,5})([.,](?P<decimals>\d{1,6}))?")
SIZE = re.compile(r"\d{1,9}x\d{1,9}")
CROP = re.compile(r"\[-?\d{1,9},-?\d{1,9} (\d{1,9}x\d{1,9})\]")
CODEC = re.compile(r"(JPEG/RGB|JPEG/YCC|JPEG/YCbCr|JPEG|J2K/KDU|J2K/YUV16|J2K/RGB|LZW|RAW)( Q=\d{1,3})?")
TILE = re.compile(r"\(\d{1,6}x\d{1,6}\)")
SCALED = re.compile(r"-> \d{1,9}x\d{1,9}")
GEOMETRY = re.compile("|".join(pattern.pattern for pattern in (CROP, SIZE, TILE, SCALED, CODEC)).join(("(?:", r"|[ -])*")))
"""A line of nothing but sizes and codecs."""


@dataclass(frozen=True, slots=True)
class Plausible:
    """What the number of a key may be."""

    least: float
    most: float
    decimals: int = 0
    times: int = 1
    """How often the key may stand in one description; of more, the last ones count."""

    def allows(self, value: str) -> bool:
        """Whether a value is such a number, written without needless digits."""
        found = NUMBER.fullmatch(value)
        return found is not None and len(found["decimals"] or "") <= self.decimals and self.least <= _number(value) <= self.most


SIDE = Plausible(1, 999_999, times=2)
"""A cut slide names its parent's size before its own."""

AVERAGE = Plausible(0, 255, decimals=6)

KEPT_NUMBERS: Mapping[str, Plausible] = {
    "AppMag": Plausible(0.1, 200, decimals=2),
    "MPP": Plausible(0.01, 100, decimals=6),
    "StripeWidth": Plausible(1, 65_535),
    "OriginalWidth": SIDE,
    "OriginalHeight": SIDE,
    "Originalheight": SIDE,
    "Gamma": Plausible(0.1, 10, decimals=6),
    "DisplayColor": Plausible(0, 255),
    "Exposure Time": Plausible(0, 10_000, decimals=6),
    "Exposure Scale": Plausible(0, 1_000, decimals=6),
    "Focus Offset": Plausible(-100, 100, decimals=6),
    "Filtered": Plausible(0, 99),
    "CalibrationAverageRed": AVERAGE,
    "CalibrationAverageGreen": AVERAGE,
    "CalibrationAverageBlue": AVERAGE,
}
"""Keys that say how pixels came about; they are kept where their value is a number that makes sense for them."""

NAMED_KEYS = frozenset(
    {*KEPT_NUMBERS, "ICC Profile", "Filename", "Title", "ImageID", "Barcode", "Date", "Time", "Time Zone", "User", "ScanScope ID"}
    | {"Scanner ID", "DSR ID", "Rack", "Slide", "Patient", "Accession", "Copyright", "Webslide Files", "CompressedFile", "Parmset"}
    | {"Scan Warning", "SessionMode", "SessonMode", "ConverterVersion", "ScannerType", "Left", "Top", "LineAreaXOffset", "LineAreaYOffset"}
    | {"LineCameraSkew"}
)
"""Keys that scanners write: only these are named in reports. Any other one may be a value whose field has a ``|`` in it or no ``=``."""

ICC_KEY = "ICC Profile"
CUSTOM_FIELD = "CustomField."
"""Begins keys that a site invents."""

ICC_NAMES = frozenset({"ScanScope v1", "AT2", "GT450", "GT450DX", "sRGB", "IEC 61966-2.1 Default RGB colour space - sRGB"})
"""Names of colour profiles that name a class of scanners, not one."""


Pair: TypeAlias = tuple[str, str]
"""Key and value."""


@dataclass(frozen=True, slots=True)
class Description:
    """A description taken apart."""

    header: str
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: bytes) -> Description:
        """Read any description; there is no wrong one. What is no UTF-8 is Latin-1."""
        header, *fields = _decoded(text).split("|")
        pairs = (tuple(part.strip() for part in field.partition("=")[::2]) for field in fields)
        return cls(header, tuple((key, value) for key, value in pairs))

    @property
    def values(self) -> Mapping[str, str]:
        """The last value of every key."""
        return dict(self.pairs)

    def number(self, key: str) -> float | None:
        """The value of a key as a number, or None."""
        value = self.values.get(key, "")
        return _number(value) if key in KEPT_NUMBERS and KEPT_NUMBERS[key].allows(value) else None

    def _sorted(self) -> tuple[list[Pair], list[Pair]]:
        """The pairs that are known to be harmless, and the others; of a key that is repeated too often, the last ones are kept."""
        kept: list[Pair] = []
        dropped: list[Pair] = []
        seen: Counter[str] = Counter()
        for key, value in reversed(self.pairs):
            stays = seen[key] < _times(key) and _is_harmless(key, value)
            seen[key] += stays
            (kept if stays else dropped).append((key, value))
        return kept[::-1], dropped[::-1]

    def anonymized(self, width: int, height: int) -> bytes:
        """The description of an image of this size written anew: no software version, no parent slide, no history, kept pairs only."""
        pairs = "".join(f"|{key} = {value}" for key, value in self._sorted()[0])
        return f"Aperio Image Library\r\n{self._geometry(width, height)}{pairs}".encode()

    def removed_keys(self) -> tuple[str, ...]:
        """Names of the keys that are dropped; one that no scanner writes may identify somebody, and is only counted."""
        return tuple(f"key:{key if key in NAMED_KEYS else '(unusual)'}" for key, _ in self._sorted()[1])

    def removed_values(self) -> tuple[bytes, ...]:
        """Values of dropped keys, keys that are never named, and what the header says beyond geometry, as UTF-8."""
        dropped = [value for _, value in self._sorted()[1]]
        unusual = [part for key, _ in self.pairs if key not in NAMED_KEYS for part in dict.fromkeys([key, key.removeprefix(CUSTOM_FIELD)])]
        header = [line.strip() for part in self.header.split(";") for line in part.splitlines() if not GEOMETRY.fullmatch(line)]
        return tuple(value.encode() for value in [*dropped, *unusual, *header])

    def _geometry(self, width: int, height: int) -> str:
        """Size, tile size, scaling and codec of the newest line, in the order in which they stand.

        A reduced image names the size it was made from, which for a crop stands in brackets; any other its own. A crop's first size is
        its parent slide's, and never named.
        """
        lines = self.header.split(";")[0].splitlines()
        newest = lines[1] if len(lines) > 1 else ""
        found = sorted((part.start(), part.group()) for pattern in (TILE, SCALED, CODEC) if (part := pattern.search(newest)))
        origin = _origin(newest) if SCALED.search(newest) else ""
        return " ".join([origin or f"{width}x{height}", *(text for _, text in found)])


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _times(key: str) -> int:
    return KEPT_NUMBERS[key].times if key in KEPT_NUMBERS else 1


def _is_harmless(key: str, value: str) -> bool:
    return (key in KEPT_NUMBERS and KEPT_NUMBERS[key].allows(value)) or (key == ICC_KEY and value in ICC_NAMES)


def _origin(line: str) -> str:
    """The size of the image that a reduced one was made from, or an empty string."""
    if "[" in line:
        crop = CROP.search(line)
        return crop.group(1) if crop else ""
    size = SIZE.match(line.strip())
    return size.group() if size else ""


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
