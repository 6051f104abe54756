"""Writes a plain pyramidal TIFF, its levels as directories or sub-directories, with identifiers in generic tags."""

from __future__ import annotations

from pathlib import Path

from writers.aperio import JPEG_IN_TIFF, TILE, YCBCR, _common, _write_tiles
from writers.planted import Patient, Planted
from writers.tiff import ASCII, LONG, LONG8, RATIONAL, SHORT, Tag, TiffWriter, offsets_tag

MAKE, MODEL, SOFTWARE, HOST = 271, 272, 305, 316


def write_generic_tiff(
    path: Path,
    *,
    seed: int,
    barcode: str,
    levels: int = 3,
    size: tuple[int, int] = (2048, 2048),
    big: bool = False,
    byte_order: str = "<",
    sub_directories: bool = False,
) -> Planted:
    """Write one plain slide; with ``sub_directories`` the lower levels hang below the first."""
    patient = Patient.drawn(seed)
    sizes = tuple((max(TILE, size[0] >> level), max(TILE, size[1] >> level)) for level in range(levels))
    with path.open("wb") as stream:
        writer = TiffWriter(stream, byte_order, big)
        if sub_directories:
            subs = [writer.directory(_level(writer, patient, seed, level, at), link=False) for at, level in enumerate(sizes[1:], 1)]
            writer.directory([*_level(writer, patient, seed, sizes[0], 0), (330, LONG8 if big else LONG, subs)])
        else:
            for at, level in enumerate(sizes):
                writer.directory(_level(writer, patient, seed, level, at))
        writer.blob(patient.name.encode("utf-16-le"))
    return Planted(path, barcode, (barcode, *patient.identifiers), sizes)


def _level(writer: TiffWriter, patient: Patient, seed: int, size: tuple[int, int], level: int) -> list[Tag]:
    wide, high = size
    offsets, lengths = _write_tiles(writer, -(-wide // TILE) * -(-high // TILE), seed + 100 + level, 0)
    return [
        *_common(wide, high, JPEG_IN_TIFF, YCBCR, 1 if level else 0),
        (270, ASCII, f"{patient.name} {patient.born} {patient.record}".encode()),
        (MAKE, ASCII, f"made for {patient.operator}".encode()),
        (MODEL, ASCII, patient.scanner.encode()),
        (SOFTWARE, ASCII, f"used by {patient.operator}".encode()),
        (HOST, ASCII, f"pc of {patient.operator} at {patient.time}".encode()),
        (306, ASCII, patient.scanned.encode()),
        (282, RATIONAL, [40000, 1]),
        (283, RATIONAL, [40000, 1]),
        (296, SHORT, [3]),
        (322, SHORT, [TILE]),
        (323, SHORT, [TILE]),
        offsets_tag(324, offsets, writer.big),
        offsets_tag(325, lengths, writer.big),
    ]
