"""Only allowed tags of sensible types and counts come through; nothing hides in padding, in spare values or in shared bytes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from PIL import ImageCms

from formats.checklist import anonymized, found_in, pages_of, plan_of, tag_bytes, unreferenced_bytes
from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.allowed import ALLOWED
from slidekeeper.model.texts import is_secret, is_text
from writers.minimal import TILE, aside, minimal_slide, noise, with_tags
from writers.tiff import ASCII, BYTE, LONG, RATIONAL, SHORT, UNDEFINED, Tag, TiffWriter, tissue_tile

DIALECTS = [("<", False), (">", False), ("<", True), (">", True)]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


PALETTE: list[Tag] = [(258, SHORT, [8]), (262, SHORT, [3]), (277, SHORT, [1])]


def refusal(data: bytes) -> str:
    """Why a slide is refused, or an empty string."""
    try:
        plan_of(data)
    except Permanent as refused:
        return refused.reason
    return ""


@pytest.mark.parametrize(
    "tag",
    [
        *[(266, SHORT, [1]), (274, SHORT, [1]), (283, RATIONAL, [1, 2]), (296, SHORT, [3]), (317, SHORT, [1])],
        *[
            (338, SHORT, [0]),
            (339, SHORT, [1, 1, 1]),
            (530, SHORT, [2, 2]),
            (531, SHORT, [1]),
            (532, RATIONAL, [1] * 12),
            (32997, LONG, [1]),
        ],
    ],
    ids=str,
)
def test_tags_that_pixels_need_are_kept_as_they_are(tag: Tag, tmp_path: Path) -> None:
    before = minimal_slide(with_tags(tag))
    after = anonymized(before, tmp_path).after
    assert tag_bytes(after, tag[0]) == tag_bytes(before, tag[0]) != []
    assert unreferenced_bytes(after) == 0


def with_palette(*colours: Tag) -> bytes:
    """A slide of one plain tile whose pixels are numbers of colours."""
    return minimal_slide(with_tags(*PALETTE, *colours), tiles=[bytes(TILE * TILE)], compression=1)


def test_a_palette_is_kept_where_pixels_need_one(tmp_path: Path) -> None:
    assert len(tag_bytes(anonymized(with_palette((320, SHORT, [7] * 768)), tmp_path).after, 320)) == 1


@pytest.mark.parametrize(
    "colours", [(320, BYTE, b"J" * 768), (320, SHORT, [74] * 767), (320, SHORT, [74] * 769)], ids=["type", "few", "many"]
)
def test_a_palette_of_another_type_or_length_is_removed(colours: Tag, tmp_path: Path) -> None:
    assert tag_bytes(anonymized(with_palette(colours), tmp_path).after, 320) == []


SPELLED = [
    int.from_bytes(word, "little")
    for word in (b"Jane", b"Mira", b"bell", b"born", b"on 1", b"9610", b"412 ", b"seen", b"on W", b"ard ", b"seve", b"n   ")
]


@pytest.mark.parametrize(
    "tag",
    [
        *[(320, BYTE, b"Jane Mirabella" * 60), (320, SHORT, [74] * 768), (532, RATIONAL, SPELLED), (529, RATIONAL, SPELLED[:6])],
        *[(282, RATIONAL, SPELLED[:2]), (273, LONG, SPELLED[:1]), (279, LONG, SPELLED[:1]), (278, LONG, SPELLED[:1])],
        *[(338, SHORT, [74, 97]), (339, SHORT, [74]), (258, BYTE, b"Jan"), (258, SHORT, [8] * 4), (274, LONG, SPELLED[:1])],
        *[(266, LONG, SPELLED[:1]), (296, LONG, SPELLED[:1]), (317, LONG, SPELLED[:1]), (531, LONG, SPELLED[:1]), (530, LONG, SPELLED[:2])],
        *[(32997, LONG, SPELLED[:1])],
    ],
    ids=lambda tag: f"{tag[0]}-{tag[1]}",
)
def test_text_in_the_numbers_of_an_allowed_tag_is_removed(tag: Tag, tmp_path: Path) -> None:
    outcome = anonymized(minimal_slide(with_tags(tag)), tmp_path)
    assert tag_bytes(outcome.after, tag[0]) == []
    assert f"tag:{tag[0]}" in outcome.removed
    assert found_in(outcome.after, ("Jane", "Mirabella")) == []


@pytest.mark.parametrize(
    ("tag", "value"), [(529, [299, 1000, 587, 1000, 114, 1000]), (532, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1])]
)
def test_colour_weights_and_ranges_that_encoders_write_are_kept(tag: int, value: list[int], tmp_path: Path) -> None:
    assert len(tag_bytes(anonymized(minimal_slide(with_tags((tag, RATIONAL, value))), tmp_path).after, tag)) == 1


def test_a_directory_with_the_same_tag_twice_is_refused() -> None:
    assert refusal(minimal_slide(lambda _writer, tags: [*tags, (296, SHORT, [2]), (296, SHORT, [3])])) == "malformed-tiff"


@pytest.mark.parametrize("compression", [2, 32773, 50000, 60000])
def test_a_compression_whose_tiles_cannot_be_examined_is_refused(compression: int) -> None:
    assert refusal(minimal_slide(compression=compression)) == "unsupported-compression"


@pytest.mark.parametrize(
    "tag",
    [
        *[(282, ASCII, b"Featherstone"), (282, RATIONAL, [1, 2, 3, 4]), (296, SHORT, [1, 2, 3]), (274, ASCII, b"op.hildegard7")],
        *[
            (338, SHORT, [65] * 17),
            (530, SHORT, [2, 2, 65]),
            (532, RATIONAL, [65] * 14),
            (347, UNDEFINED, b"abc"),
            (273, LONG, [65, 66, 67]),
        ],
    ],
    ids=str,
)
def test_an_allowed_tag_of_another_type_or_with_spare_values_is_removed(tag: Tag, tmp_path: Path) -> None:
    outcome = anonymized(minimal_slide(with_tags(tag)), tmp_path)
    assert tag_bytes(outcome.after, tag[0]) == []
    assert f"tag:{tag[0]}" in outcome.removed
    assert unreferenced_bytes(outcome.after) == 0


@pytest.mark.parametrize(
    "tag", [269, 271, 272, 285, 305, 306, 315, 316, 333, 337, 700, 32781, 33432, 33723, 34377, 34665, 34853, 37500, 42112, 65000]
)
def test_tags_that_name_somebody_are_never_allowed(tag: int) -> None:
    assert tag not in ALLOWED


@pytest.mark.parametrize("tag", [269, 272, 306, 315, 316, 333, 33432, 33723, 42112, 51000])
def test_other_tags_go_with_their_values(tag: int, tmp_path: Path) -> None:
    outcome = anonymized(minimal_slide(with_tags((tag, ASCII, b"op.hildegard7"))), tmp_path)
    assert tag_bytes(outcome.after, tag) == []
    assert found_in(outcome.after, ("op.hildegard7",)) == []
    assert "op.hildegard7" in outcome.texts


@pytest.mark.parametrize(("order", "big"), DIALECTS)
def test_bytes_behind_a_short_inline_value_become_zero(order: str, big: bool, tmp_path: Path) -> None:
    data = bytearray(minimal_slide(with_tags((296, SHORT, [3])), order=order, big=big))
    place = next(page.tags[296].valueoffset for _, page in pages_of(bytes(data)))
    data[place + 2 : place + (8 if big else 4)] = b"secret"[: 6 if big else 2]
    after = anonymized(bytes(data), tmp_path).after
    assert after[place : place + (8 if big else 4)] == struct.pack(order + "H", 3) + bytes(6 if big else 2)


@pytest.mark.parametrize(("order", "big"), DIALECTS)
def test_entries_move_together_and_the_rest_of_a_directory_becomes_zero(order: str, big: bool, tmp_path: Path) -> None:
    data = minimal_slide(with_tags((271, ASCII, b"xy"), (65111, SHORT, [7])), order=order, big=big)
    outcome = anonymized(data, tmp_path)
    before, after = ([page for _, page in pages_of(slide)] for slide in (data, outcome.after))
    assert [page.offset for page in after] == [page.offset for page in before]
    assert [tag.code for tag in after[0].tags] == [tag.code for tag in before[0].tags if tag.code not in {271, 65111}]
    assert unreferenced_bytes(outcome.after) == 0


def test_a_field_of_an_unknown_type_is_removed(tmp_path: Path) -> None:
    data = bytearray(minimal_slide(with_tags((266, LONG, [0x31323334]))))
    place = next(page.tags[266].offset for _, page in pages_of(bytes(data)))
    struct.pack_into("<H", data, place + 2, 99)
    after = anonymized(bytes(data), tmp_path).after
    assert tag_bytes(after, 266) == []
    assert b"4321" not in after


def test_a_colour_profile_is_kept_without_date_and_texts(tmp_path: Path) -> None:
    outcome = anonymized(minimal_slide(with_tags((34675, UNDEFINED, SRGB))), tmp_path)
    (profile,) = tag_bytes(outcome.after, 34675)
    assert len(profile) == len(SRGB)
    assert profile[24:36] == bytes(12)
    assert SRGB[24:36] not in outcome.after
    assert found_in(outcome.after, ("sRGB built-in", "No copyright")) == []
    assert outcome.anonymization.facts.icc


def test_a_malformed_colour_profile_is_refused() -> None:
    assert refusal(minimal_slide(with_tags((34675, UNDEFINED, b"x" * 200)))) == "malformed-icc"


def test_tiles_that_share_all_their_bytes_are_kept(tmp_path: Path) -> None:
    def shared(_writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        first = next(next(iter(value)) for number, _, value in tags if number == 324)
        return [*(tag for tag in tags if tag[0] != 324), (324, LONG, [first, first])]

    outcome = anonymized(minimal_slide(shared, tiles=[tissue_tile(1, TILE)] * 2), tmp_path)
    assert tag_bytes(outcome.after, 324) == tag_bytes(outcome.before, 324)
    assert unreferenced_bytes(outcome.after) == 0


def test_tiles_that_share_some_of_their_bytes_are_refused() -> None:
    def overlapping(_writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        first = next(next(iter(value)) for number, _, value in tags if number == 324)
        return [*(tag for tag in tags if tag[0] != 324), (324, LONG, [first, first + 10])]

    assert refusal(minimal_slide(overlapping, tiles=[tissue_tile(1, TILE)] * 2)) == "overlapping-ranges"


@pytest.mark.parametrize("shift", [0, 100])
def test_a_label_that_shares_bytes_with_a_tile_is_refused(shift: int) -> None:
    def with_label(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        tile = next(next(iter(value)) for number, _, value in tags if number == 324)
        label: list[Tag] = [(254, LONG, [1]), (256, LONG, [30]), (257, LONG, [40]), (273, LONG, [tile + shift]), (279, LONG, [1200])]
        return [*tags, (330, LONG, [writer.directory(label, link=False)])]

    assert refusal(minimal_slide(with_label)) == "overlapping-ranges"


def test_a_directory_inside_a_tile_is_refused() -> None:
    data = minimal_slide()
    place = next(page.offset for _, page in pages_of(data))
    bent = bytearray(data)
    lengths = next(page.tags[325].valueoffset for _, page in pages_of(data))
    struct.pack_into("<I", bent, lengths, place)
    assert refusal(bytes(bent)) == "overlapping-ranges"


def test_a_kept_value_that_lies_in_the_label_is_refused() -> None:
    picture = noise(8)

    def into_label(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        label = aside(writer, 1, picture, link=False)
        return with_tags(*PALETTE, (320, SHORT, [0] * 768), (330, LONG, [label]))(writer, tags)

    data = bytearray(minimal_slide(into_label, tiles=[bytes(TILE * TILE)], compression=1))
    entry = next(page.tags[320].offset for _, page in pages_of(bytes(data)))
    struct.pack_into("<I", data, entry + 8, bytes(data).index(picture.tobytes()) + 200)
    assert refusal(bytes(data)) == "overlapping-ranges"


def test_a_kept_value_past_the_end_is_refused_by_the_plan_itself() -> None:
    data = bytearray(minimal_slide(with_tags((258, SHORT, [8, 8, 8]))))
    entry = next(page.tags[258].offset for _, page in pages_of(bytes(data)))
    struct.pack_into("<I", data, entry + 8, 2**31)
    assert refusal(bytes(data)) == "truncated"


@pytest.mark.parametrize(
    ("value", "readable"),
    [
        (b"op.7", True),
        ("Müller".encode(), True),
        (b" ab ", False),
        (b"abc", False),
        (b"----", False),
        (b"\1\2\3\4abc", False),
        (b"", False),
    ],
)
def test_readable_values_of_four_characters_are_texts(value: bytes, readable: bool) -> None:
    assert is_text(value) is readable


def test_what_legitimately_remains_is_no_secret() -> None:
    assert is_secret(b"46000x32914", b"Aperio Image Library\r\n1x1")
    assert not is_secret(b"aperio image", b"Aperio Image Library\r\n1x1")
