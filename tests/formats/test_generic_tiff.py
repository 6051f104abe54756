"""A plain pyramidal TIFF keeps its levels and nothing else, whether they are directories or sub-directories."""

from __future__ import annotations

import struct
from base64 import b64encode
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import openslide
import pytest
from PIL import ImageCms

from formats.checklist import (
    Outcome,
    anonymized,
    found_in,
    pages_of,
    plan_of,
    shared_windows,
    source_of,
    tag_bytes,
    tile_digests,
    unreferenced_bytes,
)
from slidekeeper.errors import Permanent
from slidekeeper.formats.generic_tiff import GenericTiff
from writers.generic import write_generic_tiff
from writers.minimal import aside, minimal_slide, noise, with_tags
from writers.tiff import ASCII, LONG, RATIONAL, SHORT, UNDEFINED, Tag, TiffWriter

BARCODE = "S26-04711;B;2"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
MINIMAL_ASIDE: list[Tag] = [(256, LONG, [1]), (257, LONG, [1]), (273, LONG, [0]), (279, LONG, [0])]
SIZES = [(1024, 1024), (512, 512), (256, 256)]
CASES = [(order, big, subs) for order in "<>" for big in (False, True) for subs in (False, True)]


@cache
def written(order: str, big: bool, subs: bool) -> tuple[bytes, tuple[str, ...]]:
    """A generated slide and the identifiers in it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{BARCODE}.tif"
        planted = write_generic_tiff(path, seed=9, barcode=BARCODE, size=SIZES[0], byte_order=order, big=big, sub_directories=subs)
        return path.read_bytes(), planted.identifiers


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}{'big' if case[1] else 'classic'}{'-subs' if case[2] else ''}")
def outcome(request: pytest.FixtureRequest, tmp_path: Path) -> Outcome:
    """A slide before and after, in every dialect of TIFF, its levels chained or hanging below the first."""
    return anonymized(written(*request.param)[0], tmp_path)


def plain(*more: Tag) -> bytes:
    """The smallest plain slide with these tags."""
    return minimal_slide(with_tags(*more), description=None)


def test_no_identifier_survives_in_any_encoding(outcome: Outcome) -> None:
    identifiers = written("<", False, False)[1]
    assert len(found_in(outcome.before, identifiers)) >= 6
    assert found_in(outcome.after, (*identifiers, *outcome.texts, "made for", "used by", "pc of")) == []


def test_every_byte_is_zero_or_reached_by_an_allowed_structure(outcome: Outcome) -> None:
    assert unreferenced_bytes(outcome.after) == 0


def test_every_tile_of_every_level_keeps_its_coded_bytes(outcome: Outcome) -> None:
    digests = tile_digests(outcome.before)
    assert list(digests) == SIZES
    assert tile_digests(outcome.after) == digests


def test_the_facts_tell_levels_compression_and_resolution(outcome: Outcome) -> None:
    facts = outcome.anonymization.facts
    assert (facts.format, facts.extension, facts.compression, facts.mpp, facts.icc) == ("generic-tiff", ".tif", "jpeg", 0.25, False)
    assert [(level.width, level.height, level.tile_width, level.tile_height) for level in facts.levels] == [
        (*size, 256, 256) for size in SIZES
    ]
    assert {"tag:270", "tag:271", "tag:272", "tag:305", "tag:306", "tag:316"} <= set(facts.removed)


def test_no_description_maker_software_host_or_date_is_left(outcome: Outcome) -> None:
    tags = {tag.code for _, page in pages_of(outcome.after) for tag in page.tags}
    assert tags.isdisjoint({270, 271, 272, 305, 306, 316})
    assert {256, 257, 282, 283, 296, 322, 324} <= tags


@pytest.mark.parametrize(("order", "big"), [("<", False), ("<", True), (">", True)])
def test_openslide_finds_the_same_levels_and_pixels(order: str, big: bool, tmp_path: Path) -> None:
    data, _ = written(order, big, False)
    (tmp_path / "before.tif").write_bytes(data)
    anonymized(data, tmp_path)
    with openslide.OpenSlide(tmp_path / "before.tif") as before, openslide.OpenSlide(tmp_path / "anonymized.tif") as after:
        assert after.properties["openslide.vendor"] == before.properties["openslide.vendor"] == "generic-tiff"
        assert after.level_dimensions == before.level_dimensions == tuple(SIZES)
        assert after.properties["openslide.mpp-x"] == before.properties["openslide.mpp-x"]
        assert after.read_region((0, 0), 0, (600, 600)).tobytes() == before.read_region((0, 0), 0, (600, 600)).tobytes()


def test_an_image_that_is_no_level_is_destroyed(tmp_path: Path) -> None:
    picture = noise(5)
    outcome = anonymized(minimal_slide(asides=[(0, picture)], description=None), tmp_path)
    assert "image:other" in outcome.removed
    assert shared_windows(picture.tobytes(), outcome.before)
    assert shared_windows(picture.tobytes(), outcome.after) == 0


def test_a_thumbnail_of_strips_is_no_level_either(tmp_path: Path) -> None:
    picture = noise(5, (64, 64))
    outcome = anonymized(minimal_slide(asides=[(0, picture)], description=None), tmp_path)
    assert shared_windows(picture.tobytes(), outcome.after) == 0


def with_described_aside(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
    """Put a described image below the first."""
    return [*tags, (330, 4, [aside(writer, 1, noise(6), (270, ASCII, b"label of Featherstone"), link=False)])]


def test_the_description_of_a_destroyed_image_is_handed_to_the_proof(tmp_path: Path) -> None:
    data = minimal_slide(asides=[], description=None, bend=with_described_aside)
    outcome = anonymized(data, tmp_path)
    assert found_in(outcome.after, ("Featherstone",)) == []
    assert "label of Featherstone" in outcome.texts


def test_removed_texts_are_handed_to_the_proof_value_by_value() -> None:
    texts = {text.reveal() for text in plan_of(plain((315, ASCII, b"Featherstone\0Hockenberry"), (700, UNDEFINED, b"a packet"))).texts}
    assert {b"Featherstone", b"Hockenberry", b"a packet"} <= texts


def test_lines_of_a_removed_text_are_handed_to_the_proof() -> None:
    plan = plan_of(plain((270, ASCII, b"Patient: Featherstone\nMRN-471147\r\nward\tseven")))
    found = b"|".join(text.reveal() for text in plan.texts)
    assert b"Featherstone" in found
    assert b"MRN-471147" in found


def test_a_removed_utf_16_text_is_handed_to_the_proof() -> None:
    plan = plan_of(plain((40093, UNDEFINED, "Featherstone".encode("utf-16-le") + b"\0\0")))
    assert b"Featherstone" in {text.reveal() for text in plan.texts}


@pytest.mark.parametrize("coding", ["utf-8", "latin-1", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("tag", [315, 65111])
def test_a_removed_text_is_handed_to_the_proof_as_it_reads_whatever_its_encoding(tag: int, coding: str) -> None:
    plan = plan_of(plain((tag, UNDEFINED, "Müller, Jörg\r\nward seven".encode(coding))))
    assert {text.reveal() for text in plan.texts} >= {"Müller, Jörg".encode(), b"ward seven"}


def test_a_text_without_any_zero_byte_in_a_tag_that_is_always_utf_16_is_handed_to_the_proof() -> None:
    assert "病理科患者".encode() in {text.reveal() for text in plan_of(plain((40093, UNDEFINED, "病理科患者".encode("utf-16-le")))).texts}


@pytest.mark.parametrize("length", [199, 200, 201, 400, 401, 5000])
def test_a_long_line_is_searched_in_pieces_that_cover_it(length: int) -> None:
    line = "".join(f"{number:05d}" for number in range(length))[:length]
    texts = [text.reveal().decode() for text in plan_of(plain((270, ASCII, line.encode()))).texts]
    assert {len(text) for text in texts} == {min(length, 200)}
    assert {place for text in texts for place in range(line.index(text), line.index(text) + len(text))} == {*range(length)}


def texts_of(data: bytes) -> set[bytes]:
    """The texts that a plan hands to the proof."""
    return {text.reveal() for text in plan_of(data).texts}


def test_base64_in_a_removed_value_is_handed_to_the_proof_as_what_it_means() -> None:
    assert b"Featherstone 4711" in texts_of(plain((65111, ASCII, b64encode(b"Featherstone 4711"))))


@pytest.mark.parametrize("pointer", [34665, 34853, 40965, 330])
def test_texts_of_directories_behind_a_removed_tag_are_handed_to_the_proof(pointer: int, tmp_path: Path) -> None:
    def bend(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        inner = writer.directory([(37510, UNDEFINED, b"ASCII\0\0\0Featherstone"), (36867, ASCII, b"1961:04:12")], link=False)
        outer = writer.directory([(42032, ASCII, b"Hockenberry"), (40965, LONG, [inner])], link=False)
        holder = writer.directory([(254, LONG, [1]), *MINIMAL_ASIDE, (pointer, LONG, [outer])], link=False)
        return [*tags, *([(330, LONG, [holder])] if pointer == 330 else [(pointer, LONG, [outer])])]

    data = minimal_slide(bend, description=None)
    assert {b"Featherstone", b"1961:04:12", b"Hockenberry"} <= texts_of(data)
    assert found_in(anonymized(data, tmp_path).after, ("Featherstone", "1961:04:12", "Hockenberry")) == []


@pytest.mark.parametrize("offsets", [[0], [2**31], [8], [1, 2, 3]])
def test_a_removed_tag_that_points_anywhere_is_no_crash(offsets: list[int]) -> None:
    assert "tag:34665" in plan_of(plain((34665, LONG, offsets))).facts.removed


def test_texts_of_a_destroyed_images_colour_profile_are_handed_to_the_proof() -> None:
    def bend(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        return [*tags, (330, LONG, [aside(writer, 1, noise(6), (34675, UNDEFINED, SRGB), link=False)])]

    assert b"No copyright, use freely" in texts_of(minimal_slide(bend, description=None))


def test_a_text_in_a_tag_of_numbers_is_handed_to_the_proof() -> None:
    spelled = [ord(letter) for letter in "Featherstone"]
    packed = [int.from_bytes(b"Hockenberry4"[at : at + 2], "little") for at in range(0, 12, 2)]
    assert b"Featherstone" in texts_of(plain((65111, SHORT, spelled))) & texts_of(plain((65111, LONG, spelled)))
    assert b"Hockenberry4" in texts_of(plain((65111, SHORT, packed)))
    assert texts_of(plain((65111, SHORT, [80] * 50), (65112, LONG, [4711] * 9))) == set()


@pytest.mark.parametrize("text", [b"Featherstone", b"op.7"])
def test_a_text_in_a_tag_of_an_unknown_type_is_handed_to_the_proof(text: bytes) -> None:
    data = bytearray(plain((65111, UNDEFINED, text)))
    entry = next(page.tags[65111].offset for _, page in pages_of(bytes(data)))
    struct.pack_into("<H", data, entry + 2, 99)
    plan = plan_of(bytes(data))
    assert text in {secret.reveal() for secret in plan.texts}
    assert "tag:65111" in plan.facts.removed


@pytest.mark.parametrize(
    "tag", [(37724, UNDEFINED, b"x" * (1 << 20) + bytes(1 << 24)), (700, UNDEFINED, " ".join(map(str, range(30_000))).encode())]
)
def test_more_text_than_can_be_searched_for_holds_the_slide(tag: Tag) -> None:
    with pytest.raises(Permanent) as held:
        plan_of(plain(tag))
    assert held.value.reason == "too-much-text"


def test_a_text_in_a_long_value_is_handed_to_the_proof() -> None:
    assert b"Featherstone" in texts_of(plain((37724, UNDEFINED, bytes(3 << 20) + b"Featherstone" + bytes(3 << 20))))


def test_a_short_or_unreadable_value_is_no_secret() -> None:
    plan = plan_of(plain((315, ASCII, b"abc"), (316, ASCII, b"----"), (65111, UNDEFINED, bytes(range(1, 9)))))
    assert plan.texts == ()
    assert {"tag:315", "tag:316", "tag:65111"} <= set(plan.facts.removed)


@pytest.mark.parametrize("tag", [65000, 65420])
def test_private_tags_of_other_vendors_make_it_theirs(tag: int) -> None:
    assert not GenericTiff().recognizes(source_of(plain((tag, SHORT, [1]))))


def test_a_tiff_of_strips_is_not_recognized() -> None:
    assert not GenericTiff().recognizes(source_of(_strips_only()))


def _strips_only() -> bytes:
    picture = noise(1)
    head = minimal_slide(asides=[(0, picture)], description=None)
    second = [page.offset for _, page in pages_of(head)][1]
    return head[:4] + struct.pack("<I", second) + head[8:]


@pytest.mark.parametrize(
    ("resolution", "unit", "mpp"),
    [([40000, 1], 3, 0.25), ([100000, 1], 2, 0.254), ([72, 1], 1, None), ([0, 1], 3, None), ([1, 0], 3, None), ([40000, 1], 9, None)],
)
def test_resolution_is_told_only_where_the_file_tells_it(resolution: list[int], unit: int, mpp: float | None) -> None:
    assert plan_of(plain((282, RATIONAL, resolution), (296, SHORT, [unit]))).facts.mpp == mpp


def test_a_slide_without_resolution_has_none() -> None:
    assert plan_of(plain()).facts.mpp is None
    assert plan_of(plain((282, RATIONAL, [40000, 1]))).facts.mpp is None
    assert plan_of(plain((282, ASCII, b"40000"), (296, SHORT, [3]))).facts.mpp is None


def test_a_resolution_unit_without_value_is_no_crash() -> None:
    assert plan_of(plain((282, RATIONAL, [40000, 1]), (296, SHORT, []))).facts.mpp is None


def test_a_tile_of_text_after_the_last_structure_is_cut_off(tmp_path: Path) -> None:
    outcome = anonymized(plain() + b"trailing Featherstone", tmp_path)
    assert len(outcome.after) < len(outcome.before)
    assert tag_bytes(outcome.after, 270) == []
    assert found_in(outcome.after, ("Featherstone",)) == []
