"""Writes Aperio SVS: levels, thumbnail, label and macro, and identifiers wherever scanners leave them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from writers.planted import Patient, Planted
from writers.tiff import ASCII, LONG, RATIONAL, SHORT, UNDEFINED, Tag, TiffWriter, drawn, jpeg, offsets_tag, tissue_tile

TILE = 256
JPEG_IN_TIFF, NO_COMPRESSION = 7, 1
YCBCR, RGB = 6, 2
PRIVATE = 65111
SHADES = 8


def write_aperio(
    path: Path,
    *,
    seed: int,
    barcode: str,
    levels: int = 2,
    size: tuple[int, int] = (2048, 1536),
    big: bool = False,
    byte_order: str = "<",
    label: bool = True,
    macro: bool = True,
    described: bool = True,
    icc: bool = True,
    target_bytes: int | None = None,
    fields: Sequence[str] = (),
) -> Planted:
    """Write one slide.

    Args:
        path: the new file.
        seed: decides about everything in it; other seeds, other content.
        barcode: planted on the label and in the description.
        levels: number of pyramid levels, each a quarter as wide as the one before.
        size: width and height at full resolution, in pixels.
        big: BigTIFF.
        byte_order: ``<`` or ``>``.
        label: whether there is a label image; ``macro`` likewise.
        described: False leaves label and macro without a description, as GT450 scanners do.
        icc: whether levels carry a colour profile.
        target_bytes: at least so large, by padding tiles between their coded pixels and the marker of their end.
        fields: further fields of the description, as they are: ``key = value``, or whatever a faulty scanner writes.
    """
    patient = Patient.drawn(seed)
    with path.open("wb") as stream:
        writer = TiffWriter(stream, byte_order, big)
        sizes = _write_images(writer, _description(patient, barcode, size, fields), patient, seed, levels, size, icc, target_bytes)
        writer.blob(f"left behind by an editor: {patient.name}".encode())
        if label:
            _write_aside(writer, "label", 1, drawn([barcode, patient.name, patient.born], (320, 320)), described, compressed=False)
        if macro:
            _write_aside(writer, "macro", 9, drawn([barcode, patient.name], (640, 220), "lightgray"), described, compressed=True)
        writer.blob(f"trailing {patient.record}".encode())
    return Planted(path, barcode, (barcode, *patient.identifiers), sizes)


def _write_images(
    writer: TiffWriter,
    description: str,
    patient: Patient,
    seed: int,
    levels: int,
    size: tuple[int, int],
    icc: bool,
    target_bytes: int | None,
) -> tuple[tuple[int, int], ...]:
    width, height = size
    sizes = [(max(TILE, width >> 2 * level), max(TILE, height >> 2 * level)) for level in range(levels)]
    for level, (wide, high) in enumerate(sizes):
        tiles = -(-wide // TILE) * -(-high // TILE)
        padding = max(0, (target_bytes or 0) // tiles - 8000) if level == 0 else 0
        offsets, lengths = _write_tiles(writer, tiles, seed + level, padding)
        text = (
            description
            if level == 0
            else description.replace("\r\n", f"\r\n{width}x{height} [0,0 {width}x{height}] -> {wide}x{high} - ;", 1)
        )
        tags: list[Tag] = [
            *_common(wide, high, JPEG_IN_TIFF, YCBCR),
            (270, ASCII, text.encode()),
            (306, ASCII, patient.scanned.encode()),
            (315, ASCII, patient.operator.encode()),
            (282, RATIONAL, [40000, 1]),
            (322, SHORT, [TILE]),
            (323, SHORT, [TILE]),
            offsets_tag(324, offsets, writer.big),
            offsets_tag(325, lengths, writer.big),
            (PRIVATE, ASCII, f"private {patient.name}".encode()),
        ]
        if icc:
            tags.append((34675, UNDEFINED, _colour_profile()))
        writer.directory(tags)
        if level == 0:
            _write_thumbnail(writer, description, size)
    return tuple(sizes)


def _colour_profile() -> bytes:
    """Without the time of its making, so that the same seed gives the same content."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + bytes(12) + profile[36:]


def _write_tiles(writer: TiffWriter, tiles: int, seed: int, padding: int) -> tuple[Sequence[int], Sequence[int]]:
    """All tiles; the last one is the seed's own, so that no two slides have the same content."""
    offsets, lengths = [], []
    filler = np.random.default_rng(seed).bytes(padding).replace(b"\xff", b"\xfe") if padding else b""
    for number in range(tiles):
        tile = tissue_tile((seed + number) % SHADES, TILE)
        if number == tiles - 1:
            tile = _own_tile(seed)
        data = tile[:-2] + filler + tile[-2:]
        offsets.append(writer.blob(data))
        lengths.append(len(data))
    return offsets, lengths


def _own_tile(seed: int) -> bytes:
    stripes = np.frombuffer(hashlib.shake_256(str(seed).encode()).digest(64), np.uint8).reshape(8, 8)
    return jpeg(Image.fromarray(np.kron(stripes, np.ones((TILE // 8, TILE // 8), np.uint8))).convert("RGB"))


def _write_thumbnail(writer: TiffWriter, description: str, size: tuple[int, int]) -> None:
    wide, high = size[0] // 8, size[1] // 8
    data = jpeg(Image.new("RGB", (wide, high), "pink"))
    offset = writer.blob(data)
    text = description.replace("\r\n", f"\r\n{size[0]}x{size[1]} -> {wide}x{high} - ;", 1)
    writer.directory(
        [
            *_common(wide, high, JPEG_IN_TIFF, YCBCR),
            (270, ASCII, text.encode()),
            (278, SHORT, [high]),
            offsets_tag(273, [offset], writer.big),
            offsets_tag(279, [len(data)], writer.big),
        ]
    )


def _write_aside(writer: TiffWriter, name: str, subfile: int, image: Image.Image, described: bool, compressed: bool) -> None:
    """Label or macro: one strip."""
    data = jpeg(image) if compressed else image.tobytes()
    offset = writer.blob(data)
    tags: list[Tag] = [
        *_common(image.width, image.height, JPEG_IN_TIFF if compressed else NO_COMPRESSION, YCBCR if compressed else RGB, subfile),
        (278, SHORT, [image.height]),
        offsets_tag(273, [offset], writer.big),
        offsets_tag(279, [len(data)], writer.big),
    ]
    if described:
        tags.append((270, ASCII, f"Aperio Image Library v12.0.15 \r\n{name} {image.width}x{image.height}".encode()))
    writer.directory(tags)


def _common(width: int, height: int, compression: int, photometric: int, subfile: int = 0) -> list[Tag]:
    tags: list[Tag] = [
        (254, LONG, [subfile]),
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [8, 8, 8]),
        (259, SHORT, [compression]),
        (262, SHORT, [photometric]),
        (277, SHORT, [3]),
        (284, SHORT, [1]),
    ]
    return [*tags, (530, SHORT, [2, 2])] if photometric == YCBCR else tags


def _description(patient: Patient, barcode: str, size: tuple[int, int], more: Sequence[str]) -> str:
    width, height = size
    pairs = {
        "AppMag": "40",
        "MPP": "0,2520",
        "StripeWidth": "2040",
        "ScanScope ID": patient.scanner,
        "Filename": barcode,
        "Title": f"{patient.name} = first",
        "Date": patient.scanned,
        "Time": patient.time,
        "User": patient.operator,
        "Barcode": barcode,
        "CustomField.PatientID": patient.record,
        "CustomField.Date_of_Birth_mmddyyyy": patient.born,
        "Parmset": f"set of {patient.operator}",
        "OriginalWidth": str(width),
        "OriginalHeight": str(height),
        "Filtered": "5",
    }
    fields = "".join(f"|{key} = {value}" for key, value in pairs.items()) + "".join(f"|{field}" for field in more)
    header = f"Aperio Image Library v12.0.15 \r\n{width}x{height} [0,0 {width}x{height}] ({TILE}x{TILE}) JPEG/YCC Q=80"
    return f"{header};Aperio Image Library v10.0.51 scanned for {patient.name}{fields}"
