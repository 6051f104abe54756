"""DICOM files are told from rubbish, so that whoever looks at the quarantine knows what the scanner sent. They are not anonymized yet."""

from __future__ import annotations

import io
import struct

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from slidekeeper.ports.formats import Source

PREFIX_AT, PREFIX = 128, b"DICM"
"""DICOM PS3.10, section 7.1: a preamble of 128 bytes, then these four."""
META_BYTES = 65_536
"""The file meta information and the first group, which name the kind of image, are far shorter."""
SOP_CLASS = "SOPClassUID"
UNREADABLE = (InvalidDicomError, EOFError, OSError, ValueError, KeyError, AttributeError, NotImplementedError, struct.error)
"""What pydicom raises for headers that are none."""


def dicom_kind(source: Source) -> str:
    """The standard's name for this kind of DICOM file (``VL Whole Slide Microscopy Image Storage``); empty when it is none.

    Names come from the standard's own list, never from the file.
    """
    if source.size < PREFIX_AT + len(PREFIX) or source.read_at(PREFIX_AT, len(PREFIX)) != PREFIX:
        return ""
    head = io.BytesIO(source.read_at(0, min(source.size, META_BYTES)))
    try:
        found = dcmread(head, stop_before_pixels=True, specific_tags=[SOP_CLASS]).get(SOP_CLASS, "")
    except UNREADABLE:
        return "of an unknown kind"
    kind = UID(found)
    return kind.name if kind.type == "SOP Class" else "of an unknown kind"
