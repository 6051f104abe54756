"""A colour profile keeps its transform and its length; dates, makers and every text go, and are handed to the proof as they read."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.icc import TRANSFORM_TAGS, scrubbed_icc

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    """A profile's elements by signature."""
    count = struct.unpack_from(">I", profile, 128)[0]
    table = [struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count)]
    return {signature: profile[offset : offset + size] for signature, offset, size in table}


def profile_with(**tags: bytes) -> bytes:
    """A profile of these elements, its header full of dates and names."""
    header = bytearray(b"\x11" * 128)
    header[8:10], header[12:24], header[36:40] = b"\4\x40", b"mntrRGB XYZ ", b"acsp"
    table, body = struct.pack(">I", len(tags)), b""
    start = 132 + 12 * len(tags)
    for name, element in tags.items():
        table += struct.pack(">4sII", name.encode(), start + len(body), len(element))
        body += element.ljust(-(-len(element) // 4) * 4, b"\0")
    return bytes(header) + table + body


def described(text: str) -> bytes:
    """A textDescriptionType element."""
    return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text.encode() + bytes(79)


def localized(*texts: str) -> bytes:
    """A multiLocalizedUnicodeType element with one record for each text."""
    coded = [text.encode("utf-16-be") for text in texts]
    records, at = b"", 16 + 12 * len(texts)
    for text in coded:
        records += struct.pack(">2s2sII", b"en", b"US", len(text), at)
        at += len(text)
    return b"mluc" + bytes(4) + struct.pack(">II", len(texts), 12) + records + b"".join(coded)


def texts_of(profile: bytes) -> list[str]:
    """The texts handed to the proof."""
    return [text.decode() for text in scrubbed_icc(profile)[1]]


def test_the_transform_and_the_length_stay() -> None:
    scrubbed, _ = scrubbed_icc(SRGB)
    before, after = tags_of(SRGB), tags_of(scrubbed)
    assert len(scrubbed) == len(SRGB)
    kept = {signature for signature in before if signature in TRANSFORM_TAGS}
    assert set(after) == kept | {b"desc", b"cprt"}
    assert {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC", b"wtpt"} <= kept
    assert {signature: after[signature] for signature in kept} == {signature: before[signature] for signature in kept}


def test_colours_come_out_the_same() -> None:
    picture = Image.frombytes("RGB", (16, 16), bytes(range(256)) * 3)
    target = ImageCms.createProfile("LAB")
    outputs = []
    for profile in (SRGB, scrubbed_icc(SRGB)[0]):
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        outputs.append(ImageCms.profileToProfile(picture, opened, target, outputMode="LAB").tobytes())
    assert outputs[0] == outputs[1]


def test_the_header_says_only_how_colours_are_meant() -> None:
    profile = profile_with(wtpt=b"XYZ " + bytes(16))
    scrubbed, _ = scrubbed_icc(profile)
    expected = len(profile).to_bytes(4, "big") + bytes(4) + b"\4\x40\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(24)
    assert scrubbed[:128] == expected + bytes(4) + bytes.fromhex("0000f6d6000100000000d32d") + bytes(48)


@pytest.mark.parametrize("at", [8, 12, 16, 20])
def test_a_version_class_or_colour_space_that_does_not_exist_is_refused(at: int) -> None:
    profile = SRGB[:at] + b"Jane" + SRGB[at + 4 :]
    with pytest.raises(Permanent, match="malformed-icc"):
        scrubbed_icc(profile)


@pytest.mark.parametrize("signature", sorted(TRANSFORM_TAGS))
@pytest.mark.parametrize("kind", ["text", "data", "desc", "mluc", "ui08", "Jane"])
def test_a_text_below_the_name_of_a_transform_goes(signature: bytes, kind: str) -> None:
    element = kind.encode() + bytes(4) + b"Jane Mirabella, born 1961\0"
    scrubbed, texts = scrubbed_icc(profile_with(**{signature.decode(): element}))
    assert tags_of(scrubbed) == {}
    assert b"Mirabella" not in scrubbed
    assert kind == "mluc" or b"Mirabella" in b"".join(texts)


def test_unknown_names_of_tags_go_with_their_values() -> None:
    scrubbed, texts = scrubbed_icc(profile_with(Jane=b"data" + bytes(4) + b"op.hildegard7", wtpt=b"XYZ " + bytes(16)))
    assert set(tags_of(scrubbed)) == {b"wtpt"}
    assert b"Jane" not in scrubbed
    assert texts == (b"op.hildegard7",)


@pytest.mark.parametrize(
    "element",
    [
        b"curv" + bytes(4) + struct.pack(">IH", 1, 0x0233),
        b"para" + bytes(4) + struct.pack(">HHi", 0, 0, 0x23333),
        b"XYZ " + bytes(4) + struct.pack(">3i", 0xF351, 0x10000, 0x116CC),
        b"sf32" + bytes(4) + struct.pack(">9i", *range(9)),
        b"mft1" + bytes(4) + bytes([3, 3, 2]) + bytes(48 - 11 + 256 * 6 + 24),
        b"mft2" + bytes(4) + bytes([3, 3, 2]) + bytes(37) + struct.pack(">HH", 2, 2) + bytes(2 * (6 + 6 + 24)),
        b"cicp" + bytes(4) + b"\1\1\1\1",
    ],
    ids=lambda element: element[:4].decode(),
)
def test_of_a_transforms_element_nothing_behind_its_numbers_is_kept(element: bytes) -> None:
    scrubbed, _ = scrubbed_icc(profile_with(A2B0=element + b"Jane Mirabella"))
    assert tags_of(scrubbed)[b"A2B0"] == element + bytes(14)
    with pytest.raises(Permanent, match="malformed-icc"):
        scrubbed_icc(profile_with(A2B0=element[:-1]))


@pytest.mark.parametrize("element", [b"XYZ " + bytes(4) + b"Jane Mirabel", b"sf32" + bytes(4) + b"Jane" * 9, b"para" + bytes(8) + b"Jane"])
def test_numbers_that_are_letters_go(element: bytes) -> None:
    assert tags_of(scrubbed_icc(profile_with(wtpt=element))[0]) == {}


def test_the_type_of_an_emptied_text_is_a_known_one() -> None:
    scrubbed, _ = scrubbed_icc(profile_with(cprt=b"Jane" + bytes(4) + b"Copyright Hockenberry"))
    assert tags_of(scrubbed)[b"cprt"] == b"text" + bytes(25)


def test_a_description_becomes_empty_but_stays_well_formed() -> None:
    element = described("ScanScope SS7311")
    profile = profile_with(desc=element, wtpt=b"XYZ " + bytes(16))
    scrubbed, texts = scrubbed_icc(profile)
    assert b"SS7311" in profile
    assert b"SS7311" not in scrubbed
    assert tags_of(scrubbed)[b"desc"] == b"desc" + bytes(4) + struct.pack(">I", 1) + bytes(len(element) - 12)
    assert texts == (b"ScanScope SS7311",)


def test_localized_texts_become_empty_but_stay_well_formed() -> None:
    element = localized("scanned by Featherstone")
    scrubbed, _ = scrubbed_icc(profile_with(desc=element))
    assert tags_of(scrubbed)[b"desc"] == b"mluc" + bytes(4) + struct.pack(">II", 0, 12) + bytes(len(element) - 16)


def test_a_plain_text_goes_and_is_handed_to_the_proof() -> None:
    scrubbed, texts = scrubbed_icc(profile_with(cprt=b"text" + bytes(4) + b"Copyright Hockenberry\0"))
    assert b"Hockenberry" not in scrubbed
    assert texts == (b"Copyright Hockenberry",)


def test_bytes_that_no_tag_reaches_become_zero() -> None:
    profile = profile_with(wtpt=b"XYZ " + bytes(16)) + b"left behind: Featherstone"
    scrubbed, _ = scrubbed_icc(profile)
    assert scrubbed.endswith(bytes(25))


def test_curves_that_share_one_element_stay_shared() -> None:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 0x0233)
    profile = bytearray(profile_with(rTRC=curve, gTRC=curve))
    first = struct.unpack_from(">I", profile, 136)[0]
    struct.pack_into(">I", profile, 148, first)
    assert tags_of(scrubbed_icc(bytes(profile))[0]) == {b"rTRC": curve, b"gTRC": curve}


def test_localized_texts_are_handed_to_the_proof_as_they_read() -> None:
    assert texts_of(SRGB) == ["sRGB built-in", "No copyright, use freely"]


def test_every_record_of_a_localized_text_is_handed_to_the_proof() -> None:
    assert texts_of(profile_with(dmdd=localized("Scanner SS7311", "Abtaster von Müller"))) == ["Scanner SS7311", "Abtaster von Müller"]


def test_a_text_does_not_survive_below_a_transform_tag_that_shares_its_bytes() -> None:
    for kind in ("text", "curv"):
        profile = bytearray(profile_with(cprt=kind.encode() + bytes(4) + b"\0\0\0\7Copyright Hockenberry\0", rTRC=b"curv" + bytes(8)))
        offset, size = struct.unpack_from(">II", profile, 136)
        struct.pack_into(">II", profile, 148, offset, size)
        try:
            assert b"Hockenberry" not in scrubbed_icc(bytes(profile))[0]
        except Permanent as refused:
            assert (kind, refused.reason) == ("curv", "malformed-icc")


@pytest.mark.parametrize("shift", [-4, 4])
def test_tags_that_share_some_of_their_bytes_are_refused(shift: int) -> None:
    profile = bytearray(profile_with(rTRC=b"curv" + bytes(12), gTRC=b"curv" + bytes(12), bTRC=b"curv" + bytes(12)))
    offset = struct.unpack_from(">I", profile, 148)[0]
    struct.pack_into(">I", profile, 148, offset + shift)
    with pytest.raises(Permanent, match="malformed-icc"):
        scrubbed_icc(bytes(profile))


def test_a_text_inside_a_large_transform_behind_smaller_tags_is_refused() -> None:
    profile = bytearray(profile_with(A2B0=b"mft2" + bytes(400), rTRC=b"curv" + bytes(8), cprt=b"text" + bytes(4) + b"Hockenberry\0"))
    start = struct.unpack_from(">I", profile, 136)[0]
    struct.pack_into(">I", profile, 160, start + 100)
    with pytest.raises(Permanent, match="malformed-icc"):
        scrubbed_icc(bytes(profile))


def test_blanked_tags_may_share_a_text() -> None:
    profile = bytearray(profile_with(desc=described("Scanner SS7311"), dmdd=described("Scanner SS7311")))
    struct.pack_into(">I", profile, 148, struct.unpack_from(">I", profile, 136)[0])
    assert b"SS7311" not in scrubbed_icc(bytes(profile))[0]


@pytest.mark.parametrize("element", [b"mluc" + bytes(4), b"mluc" + bytes(4) + b"\xff" * 8, b"mluc" + bytes(4) + b"\xff" * 40])
def test_a_localized_text_whose_records_cannot_be_read_goes_without_a_crash(element: bytes) -> None:
    profile = profile_with(dmdd=element)
    scrubbed, _ = scrubbed_icc(profile)
    assert len(scrubbed) == len(profile)
    assert set(tags_of(scrubbed).values()) <= {b"mluc" + struct.pack(">4xII", 0, 12) + bytes(max(0, len(element) - 16))}


def test_a_text_in_latin_1_is_handed_to_the_proof_as_it_reads() -> None:
    assert texts_of(profile_with(cprt=b"text" + bytes(4) + "Müller\0".encode("latin-1"))) == ["Müller"]


@pytest.mark.parametrize("signature", ["D2B3", "B2D3"])
def test_absolute_colorimetric_transforms_are_kept(signature: str) -> None:
    element = b"mpet" + bytes(4) + struct.pack(">HHI", 3, 3, 0)
    assert tags_of(scrubbed_icc(profile_with(**{signature: element}))[0])[signature.encode()] == element


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        SRGB[:131],
        SRGB[:36] + b"nope" + SRGB[40:],
        SRGB[:128] + struct.pack(">I", 201) + SRGB[132:],
        SRGB[:128] + b"\xff\xff\xff\xff" + SRGB[132:],
        SRGB[:136] + struct.pack(">I", len(SRGB)) + SRGB[140:],
        SRGB[:136] + struct.pack(">I", 0) + SRGB[140:],
        SRGB[:140] + b"\xff\xff\xff\xff" + SRGB[144:],
    ],
    ids=["empty", "short", "signature", "many tags", "huge count", "offset at end", "offset in header", "huge size"],
)
def test_a_malformed_profile_is_refused(profile: bytes) -> None:
    with pytest.raises(Permanent) as refused:
        scrubbed_icc(profile)
    assert refused.value.reason == "malformed-icc"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(128, len(SRGB) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(SRGB)))
def test_any_profile_is_refused_or_scrubbed_at_its_length(changes: list[tuple[int, int]], length: int) -> None:
    profile = bytearray(SRGB)
    for at, byte in changes:
        profile[at] = byte
    for bent in (bytes(profile), bytes(profile[:length])):
        try:
            scrubbed, _ = scrubbed_icc(bent)
        except Permanent as refused:
            assert refused.reason == "malformed-icc"
        else:
            assert len(scrubbed) == len(bent)
            assert scrubbed[24:36] == bytes(12)
