"""An Aperio slide comes out clean and unharmed: in every byte order and size of TIFF, whatever images it has, in whatever order."""

from __future__ import annotations

import struct
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openslide
import pytest

from formats.checklist import (
    Outcome,
    anonymized,
    bytes_of_images,
    found_in,
    pages_of,
    plan_of,
    shared_windows,
    source_of,
    tag_bytes,
    tile_digests,
    unreferenced_bytes,
)
from shared_data import shared
from slidekeeper.errors import Permanent
from slidekeeper.formats.aperio import Aperio
from slidekeeper.model.splice import Content, Keep, Literal
from writers.aperio import write_aperio
from writers.minimal import DESCRIPTION, TILE, aside, minimal_slide, noise, with_tags
from writers.tiff import ASCII, LONG, SHORT, UNDEFINED, Tag, TiffWriter, tissue_tile

DIALECTS = [("<", False), (">", False), ("<", True), (">", True)]
READ_BY_OPENSLIDE = [("<", False), ("<", True), (">", True)]
"""OpenSlide 4 opens no classic TIFF of big-endian order, clean or not."""

BARCODE = "S26-04711;B;2"
LABEL, MACRO = 1, 9


@cache
def written(order: str = "<", big: bool = False, **choices: Any) -> tuple[bytes, tuple[str, ...]]:
    """A generated slide and the identifiers in it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{BARCODE}.svs"
        planted = write_aperio(path, seed=7, barcode=BARCODE, size=(1024, 1024), byte_order=order, big=big, **choices)
        return path.read_bytes(), planted.identifiers


def relinked(data: bytes, order: list[int]) -> bytes:
    """The same slide (little-endian, classic), its directories chained in another order; an index twice makes a loop."""
    places = [(page.offset, page.offset + 2 + 12 * len(page.tags)) for _, page in pages_of(data)]
    changed = bytearray(data)
    struct.pack_into("<I", changed, 4, places[order[0]][0])
    for here, there in pairwise(order):
        struct.pack_into("<I", changed, places[here][1], places[there][0])
    if len(set(order)) == len(order):
        struct.pack_into("<I", changed, places[order[-1]][1], 0)
    return bytes(changed)


@pytest.fixture(params=DIALECTS, ids=["classic-little", "classic-big", "bigtiff-little", "bigtiff-big"])
def outcome(request: pytest.FixtureRequest, tmp_path: Path) -> Outcome:
    """A slide with everything in it, before and after, in every dialect of TIFF."""
    return anonymized(written(*request.param)[0], tmp_path)


def test_no_removed_value_file_name_or_barcode_survives_in_any_encoding(outcome: Outcome) -> None:
    wanted = (*written()[1], f"{BARCODE}.svs", "scanned for", "left behind by an editor")
    assert found_in(outcome.before, wanted)
    assert found_in(outcome.after, (*wanted, *outcome.texts)) == []


def test_no_window_of_label_or_macro_survives(outcome: Outcome) -> None:
    for subfile in (LABEL, MACRO):
        destroyed = bytes_of_images(outcome.before, {subfile})
        assert shared_windows(destroyed, outcome.before)
        assert shared_windows(destroyed, outcome.after) == 0


def test_every_byte_of_the_result_is_zero_or_reached_by_an_allowed_structure(outcome: Outcome) -> None:
    assert unreferenced_bytes(outcome.after) == 0


def test_every_tile_keeps_its_coded_bytes(outcome: Outcome) -> None:
    digests = tile_digests(outcome.before)
    assert {size: len(tiles) for size, tiles in digests.items()} == {(1024, 1024): 16, (256, 256): 1}
    assert tile_digests(outcome.after) == digests


def test_the_thumbnail_keeps_its_coded_bytes(outcome: Outcome) -> None:
    assert bytes_of_images(outcome.after, {0}) == bytes_of_images(outcome.before, {0}) != b""


def test_the_plan_gives_every_byte_one_origin_and_kept_bytes_their_old_place(outcome: Outcome) -> None:
    plan = outcome.anonymization.plan
    assert plan.size == len(outcome.after) <= len(outcome.before)
    for offset, piece in plan.placed():
        wanted = {Keep: outcome.before[offset : offset + piece.length], Literal: getattr(piece, "data", b"")}
        assert outcome.after[offset : offset + piece.length] == wanted.get(type(piece), bytes(piece.length))
        assert not isinstance(piece, Keep) or piece.offset == offset


def test_only_tiles_and_the_thumbnail_count_as_coded_pixels(outcome: Outcome) -> None:
    coded = [piece for piece in outcome.anonymization.plan.pieces if isinstance(piece, Keep) and piece.content is Content.CODED]
    tiles = sum(sum(page.databytecounts) for _, page in pages_of(outcome.before) if page.is_tiled)
    assert sum(piece.length for piece in coded) == tiles + len(bytes_of_images(outcome.before, {0}))


def test_descriptions_are_written_anew(outcome: Outcome) -> None:
    kept = b"|AppMag = 40|MPP = 0,2520|StripeWidth = 2040|OriginalWidth = 1024|OriginalHeight = 1024|Filtered = 5\0"
    first, thumbnail, second = tag_bytes(outcome.after, 270)
    assert first == b"Aperio Image Library\r\n1024x1024 (256x256) JPEG/YCC Q=80" + kept
    assert thumbnail == b"Aperio Image Library\r\n1024x1024 -> 128x128" + kept
    assert second == b"Aperio Image Library\r\n1024x1024 -> 256x256" + kept


def test_the_report_names_what_went_and_no_value(outcome: Outcome) -> None:
    assert {"image:label", "image:macro", "key:Barcode", "key:User", "tag:306", "tag:315", "tag:65111"} <= set(outcome.removed)
    assert found_in("\n".join(outcome.removed).encode(), written()[1]) == []


def test_plan_and_secrets_do_not_show_themselves(outcome: Outcome) -> None:
    assert found_in(repr(outcome.anonymization.texts).encode(), written()[1]) == []


@pytest.mark.parametrize(("order", "big"), READ_BY_OPENSLIDE)
def test_openslide_finds_the_same_slide_without_label_and_macro(order: str, big: bool, tmp_path: Path) -> None:
    data, _ = written(order, big)
    (tmp_path / "before.svs").write_bytes(data)
    outcome = anonymized(data, tmp_path)
    with openslide.OpenSlide(tmp_path / "before.svs") as before, openslide.OpenSlide(tmp_path / "anonymized.tif") as after:
        assert set(before.associated_images) == {"label", "macro", "thumbnail"}
        assert set(after.associated_images) == {"thumbnail"}
        for name in ("openslide.vendor", "openslide.mpp-x", "openslide.mpp-y", "openslide.objective-power", "openslide.icc-size"):
            assert after.properties.get(name) == before.properties.get(name)
        assert after.level_dimensions == before.level_dimensions == ((1024, 1024), (256, 256))
        assert after.read_region((0, 0), 0, (600, 600)).tobytes() == before.read_region((0, 0), 0, (600, 600)).tobytes()
        assert (outcome.anonymization.facts.mpp, outcome.anonymization.facts.magnification) == (0.252, 40.0)


def test_label_and_macro_without_description_are_destroyed(tmp_path: Path) -> None:
    outcome = anonymized(written(described=False)[0], tmp_path)
    assert {"image:label", "image:macro"} <= set(outcome.removed)
    assert bytes_of_images(outcome.after, {LABEL, MACRO}) == b""
    assert shared_windows(bytes_of_images(outcome.before, {LABEL}), outcome.after) == 0


@pytest.mark.parametrize(("label", "macro"), [(False, True), (True, False), (False, False)])
def test_a_slide_may_lack_label_or_macro(label: bool, macro: bool, tmp_path: Path) -> None:
    outcome = anonymized(written(label=label, macro=macro)[0], tmp_path)
    assert ("image:label" in outcome.removed, "image:macro" in outcome.removed) == (label, macro)
    assert tile_digests(outcome.after) == tile_digests(outcome.before)


@pytest.mark.parametrize("order", [[0, 1, 4, 2, 3], [0, 3, 4, 1, 2], [0, 2, 1, 4, 3], [0, 4, 2, 3, 1]])
def test_images_are_told_apart_in_any_order_but_a_thumbnail_is_the_second(order: list[int], tmp_path: Path) -> None:
    data = relinked(written()[0], order)
    outcome = anonymized(data, tmp_path)
    assert {"image:label", "image:macro"} <= set(outcome.removed)
    assert bytes_of_images(outcome.after, {LABEL, MACRO}) == b""
    assert tile_digests(outcome.after) == tile_digests(data)
    assert bytes_of_images(outcome.after, {0}) == (bytes_of_images(data, {0}) if order[1] == 1 else b"")
    assert ("image:other" in outcome.removed) is (order[1] != 1)


def test_a_slide_whose_first_image_is_its_label_is_no_aperio_slide() -> None:
    with pytest.raises(Permanent) as refused:
        plan_of(relinked(written(described=False)[0], [3, 0, 1, 2, 4]))
    assert refused.value.reason == "unsupported-format"


def test_directories_in_a_loop_are_refused() -> None:
    looped = source_of(relinked(written()[0], [0, 1, 2, 1]))
    assert not Aperio().recognizes(looped)
    with pytest.raises(Permanent) as refused:
        Aperio().plan(looped)
    assert refused.value.reason == "directory-loop"


def test_images_in_sub_directories_of_a_slide_are_destroyed_unless_they_are_levels(tmp_path: Path) -> None:
    secret = noise(3)

    def with_sub(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        return [*tags, (330, LONG, [aside(writer, 0, secret, link=False)])]

    outcome = anonymized(minimal_slide(with_sub), tmp_path)
    assert "image:other" in outcome.removed
    assert shared_windows(secret.tobytes(), outcome.before)
    assert shared_windows(secret.tobytes(), outcome.after) == 0
    assert tag_bytes(outcome.after, 330) == []


def test_two_images_that_could_be_the_thumbnail_are_both_destroyed(tmp_path: Path) -> None:
    pictures = [noise(1, (64, 64)), noise(2, (48, 48))]
    outcome = anonymized(minimal_slide(asides=[(0, picture) for picture in pictures]), tmp_path)
    assert outcome.removed.count("image:other") == 1
    for picture in pictures:
        assert shared_windows(picture.tobytes(), outcome.after) == 0


@pytest.mark.parametrize("packed", ["none", "lzw"])
def test_an_untyped_second_image_that_is_no_jpeg_may_be_a_label_and_is_no_thumbnail(packed: str, tmp_path: Path) -> None:
    picture = noise(1, (64, 64))
    data = bytearray(minimal_slide(asides=[(0, picture)]))
    second = [page for _, page in pages_of(bytes(data))][1]
    struct.pack_into("<H", data, second.tags[259].valueoffset, {"none": 1, "lzw": 5}[packed])
    outcome = anonymized(bytes(data), tmp_path)
    assert shared_windows(picture.tobytes(), outcome.after) == 0
    assert "image:other" in outcome.removed
    assert not outcome.anonymization.facts.thumbnail


def test_an_untyped_label_of_the_slides_shape_behind_another_image_is_no_thumbnail(tmp_path: Path) -> None:
    label = noise(1, (64, 64))
    outcome = anonymized(minimal_slide(asides=[(MACRO, noise(2)), (0, label)]), tmp_path)
    assert shared_windows(label.tobytes(), outcome.before)
    assert shared_windows(label.tobytes(), outcome.after) == 0
    assert {"image:macro", "image:other"} <= set(outcome.removed)


def test_an_image_of_the_slides_shape_in_a_sub_directory_is_no_thumbnail(tmp_path: Path) -> None:
    secret = noise(3, (64, 64))

    def with_sub(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        return [*tags, (330, LONG, [aside(writer, 0, secret, link=False)])]

    assert shared_windows(secret.tobytes(), anonymized(minimal_slide(with_sub), tmp_path).after) == 0


def test_an_image_of_another_shape_is_no_thumbnail(tmp_path: Path) -> None:
    picture = noise(1, (64, 40))
    outcome = anonymized(minimal_slide(asides=[(0, picture)]), tmp_path)
    assert shared_windows(picture.tobytes(), outcome.after) == 0


def test_private_tags_go_and_what_was_readable_in_them_is_searched(tmp_path: Path) -> None:
    more: list[Tag] = [
        (65111, ASCII, b"Featherstone^Aurelia"),
        (700, UNDEFINED, b"rectangular Hockenberry"),
        (33432, ASCII, b"ward 7"),
        (50000, SHORT, [4711, 4712, 4713]),
    ]
    outcome = anonymized(minimal_slide(with_tags(*more)), tmp_path)
    assert {"tag:65111", "tag:700", "tag:33432", "tag:50000"} <= set(outcome.removed)
    assert {"Featherstone^Aurelia", "rectangular Hockenberry", "ward 7"} <= outcome.texts
    assert struct.pack("<3H", 4711, 4712, 4713) not in outcome.after
    assert found_in(outcome.after, tuple(outcome.texts)) == []


def test_unknown_keys_go_with_their_values_and_are_not_named(tmp_path: Path) -> None:
    text = DESCRIPTION + b"|Ward Round = Gulbrandsen|Nobody Knows|= Castellanos|CustomField.Featherstone = yes"
    outcome = anonymized(minimal_slide(description=text), tmp_path)
    assert [name for name in outcome.removed if name.startswith("key:")] == ["key:(unusual)", "key:User"]
    assert {"Gulbrandsen", "Castellanos", "Ward Round", "Nobody Knows", "Featherstone"} <= outcome.texts
    assert found_in(outcome.after, ("Gulbrandsen", "Castellanos", "Ward Round", "Nobody Knows")) == []


def test_a_name_behind_a_bar_within_a_value_is_no_name_of_a_key(tmp_path: Path) -> None:
    outcome = anonymized(minimal_slide(description=DESCRIPTION + b"|Title = Biopsy | Jane Mirabella"), tmp_path)
    assert "Jane Mirabella" in outcome.texts
    assert found_in("|".join(outcome.removed).encode(), ("Mirabella",)) == []


def test_descriptions_of_destroyed_images_raise_no_false_alarm(tmp_path: Path) -> None:
    pictures = [
        (b"Aperio Image Library\r\nlabel 48x40|AppMag = 40", noise(1)),
        (b"256x256|MPP = 0.25", noise(2)),
        (b"ward seven\n0.25", noise(3)),
    ]

    def with_subs(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        return [*tags, (330, LONG, [aside(writer, 1, picture, (270, ASCII, text), link=False) for text, picture in pictures])]

    outcome = anonymized(minimal_slide(with_subs), tmp_path)
    assert {"ward seven", "label 48x40|AppMag = 40"} <= outcome.texts
    assert {"Aperio Image Library", "0.25"}.isdisjoint(outcome.texts)
    assert found_in(outcome.after, tuple(outcome.texts)) == []


def test_every_line_of_a_removed_value_is_searched(tmp_path: Path) -> None:
    outcome = anonymized(minimal_slide(description=DESCRIPTION + b"|Title = Gulbrandsen\r\nward seven"), tmp_path)
    assert {"Gulbrandsen", "ward seven"} <= outcome.texts


def test_a_description_too_short_to_be_written_anew_is_refused() -> None:
    with pytest.raises(Permanent) as refused:
        plan_of(minimal_slide(description=b"Aperio"))
    assert refused.value.reason == "description-too-long"


@pytest.mark.parametrize("text", [b"", b"Aperio", b"ward seven"])
def test_a_level_whose_description_is_too_short_to_be_written_anew_loses_it(text: bytes, tmp_path: Path) -> None:
    def with_level(writer: TiffWriter, tags: list[Tag]) -> list[Tag]:
        tile = tissue_tile(2, TILE)
        place: list[Tag] = [(324, LONG, [writer.blob(tile)]), (325, LONG, [len(tile)])]
        level = with_tags(*place, (256, LONG, [TILE]), (257, LONG, [TILE // 2]), (270, ASCII, text))(writer, tags)
        return [*tags, (330, LONG, [writer.directory(level, link=False)])]

    outcome = anonymized(minimal_slide(with_level, tiles=[tissue_tile(1, TILE)] * 2), tmp_path)
    assert len(outcome.anonymization.facts.levels) == 2
    assert len(tag_bytes(outcome.after, 270)) == 1
    assert found_in(outcome.after, ("ward seven",)) == []


def test_a_file_that_begins_otherwise_is_not_recognized() -> None:
    assert Aperio().recognizes(source_of(minimal_slide()))
    assert not Aperio().recognizes(source_of(minimal_slide(description=b"not Aperio Image Library")))
    assert not Aperio().recognizes(source_of(minimal_slide(description=None)))
    assert not Aperio().recognizes(source_of(b"Aperio"))


def test_a_reader_in_the_middle_of_copying_sees_that_bytes_are_missing() -> None:
    data = written()[0]
    assert Aperio().missing(source_of(data)) == ""
    assert {Aperio().missing(source_of(data[:length])) for length in range(8, len(data) - 200, 9973)} == {"truncated"}


@pytest.fixture
def real(tmp_path: Path) -> Outcome:
    """The real slide of Carnegie Mellon."""
    return anonymized(shared("slides", "svs", "CMU-1-Small-Region.svs").read_bytes(), tmp_path)


def test_a_real_slide_loses_label_macro_and_every_value(real: Outcome) -> None:
    numbers = ("CPAPERIOCS", "1004486", "12/29/09", "09:59:15", "42673,5576", "46000x32914")
    wanted = ("CMU-1", "b414003d-95c6-48b0-9369-8010ed517ba7", *numbers)
    assert found_in(real.before, wanted) == list(wanted)
    assert found_in(real.after, (*wanted, *real.texts)) == []
    assert {"image:label", "image:macro", "key:User", "key:Filename"} <= set(real.removed)


def test_a_real_slide_keeps_tiles_and_accounts_for_every_byte(real: Outcome) -> None:
    assert tile_digests(real.after) == tile_digests(real.before) != {}
    assert unreferenced_bytes(real.after) == 0
    assert shared_windows(bytes_of_images(real.before, {LABEL}), real.after) == 0


def test_a_real_slide_is_the_same_to_openslide(real: Outcome, tmp_path: Path) -> None:
    path = shared("slides", "svs", "CMU-1-Small-Region.svs")
    with openslide.OpenSlide(path) as before, openslide.OpenSlide(tmp_path / "anonymized.tif") as after:
        assert set(after.associated_images) == {"thumbnail"}
        for name in ("openslide.vendor", "openslide.mpp-x", "openslide.objective-power", "openslide.icc-size"):
            assert after.properties.get(name) == before.properties.get(name)
        assert after.level_dimensions == before.level_dimensions
        assert after.read_region((0, 0), 0, (512, 512)).tobytes() == before.read_region((0, 0), 0, (512, 512)).tobytes()


def test_a_real_slide_of_jpeg2000_without_label_passes(tmp_path: Path) -> None:
    outcome = anonymized(shared("slides", "svs", "TCGA-CR-7395-01A-01-TS1.svs").read_bytes(), tmp_path)
    assert outcome.anonymization.facts.compression == "jpeg2000"
    assert tile_digests(outcome.after) == tile_digests(outcome.before) != {}
    assert unreferenced_bytes(outcome.after) == 0
    assert found_in(outcome.after, tuple(outcome.texts)) == []
