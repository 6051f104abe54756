"""A DICOM file is held with the standard's name for it, and with nothing that stands in it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared
from slidekeeper.errors import Permanent
from slidekeeper.formats.dicom import dicom_kind
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.ports.formats import Source


def source_of(data: bytes) -> Source:
    """An open file of these bytes."""
    return Source(io.BytesIO(data), len(data))


@pytest.mark.parametrize("name", ["gcp_test_wsi.dcm", "highdicom_sm_image.dcm"])
def test_a_whole_slide_image_is_named_as_the_standard_does(name: str) -> None:
    data = Path(shared("slides", "dicom", name)).read_bytes()
    assert dicom_kind(source_of(data)) == "VL Whole Slide Microscopy Image Storage"
    with pytest.raises(Permanent) as held:
        SupportedFormats().recognize(source_of(data))
    assert held.value.reason == "unsupported-format"
    assert held.value.detail.startswith("DICOM, VL Whole Slide Microscopy Image Storage; ")


def test_what_has_no_prefix_is_no_dicom() -> None:
    assert dicom_kind(source_of(b"")) == ""
    assert dicom_kind(source_of(bytes(4000))) == ""


@given(st.binary(max_size=600))
def test_any_bytes_behind_the_prefix_are_told_without_quoting_them(rest: bytes) -> None:
    kind = dicom_kind(source_of(bytes(128) + b"DICM" + rest))
    assert kind == "of an unknown kind" or kind.endswith("Storage")
