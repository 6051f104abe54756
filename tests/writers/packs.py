"""Writes whole packs as a scanner drops them: slide image, thumbnail, barcode file."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from writers.aperio import write_aperio
from writers.planted import Patient, Planted


def write_pack(folder: Path, seed: int, *, size: tuple[int, int] = (2816, 2560)) -> Planted:
    """Write a pack of about one megabyte into ``folder``; its barcode is the image's file name."""
    barcode = f"S26-{10000 + seed};A;1"
    planted = write_aperio(folder / f"{barcode}.svs", seed=seed, barcode=barcode, size=size)
    patient = Patient.drawn(seed)
    (folder / f"{barcode}.jpg").write_bytes(_thumbnail(patient))
    (folder / f"{barcode}.txt").write_text(barcode)
    return planted


def _thumbnail(patient: Patient) -> bytes:
    """A photograph of the whole glass, with Exif that names the patient."""
    image = Image.new("RGB", (64, 160), "white")
    exif = Image.Exif()
    exif[270] = f"{patient.name} {patient.record}"
    stream = io.BytesIO()
    image.save(stream, "JPEG", exif=exif)
    return stream.getvalue()
