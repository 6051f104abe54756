"""A slide that kept what had to go, or is not what was planned, is refused by readers that know nothing of the plan."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import openslide
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from shared_data import shared
from slidekeeper.adapters.bucket.splicing import execute
from slidekeeper.adapters.readers.independent import IndependentReader
from slidekeeper.errors import Permanent
from slidekeeper.formats.registry import SupportedFormats
from slidekeeper.model.slide import ImageFacts, Level
from slidekeeper.ports.formats import Source
from writers import write_aperio, write_generic_tiff
from writers.aperio import _write_aside
from writers.minimal import minimal_slide, with_tags
from writers.tiff import UNDEFINED, TiffWriter, drawn

READER = IndependentReader()
SIZE = (2048, 1536)


def anonymized(original: Path) -> tuple[Path, ImageFacts]:
    """The slide as Slidekeeper would write it, beside the original."""
    result = original.with_suffix(f".clean{original.suffix}")
    with original.open("rb") as stream, result.open("wb") as target:
        source = Source(stream, original.stat().st_size)
        plan = SupportedFormats().recognize(source).plan(source)
        execute(plan.plan, stream, target.fileno(), lambda span, content: None)
    return result, plan.facts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's slides lie."""
    return tmp_path_factory.mktemp("slides")


@pytest.fixture(scope="module")
def aperio(folder: Path) -> tuple[Path, ImageFacts]:
    """An anonymized Aperio slide."""
    write_aperio(folder / "aperio.svs", seed=1, barcode="S26-1", size=SIZE)
    return anonymized(folder / "aperio.svs")


@pytest.fixture(scope="module")
def generic(folder: Path) -> tuple[Path, ImageFacts]:
    """An anonymized plain TIFF."""
    write_generic_tiff(folder / "generic.tiff", seed=2, barcode="S26-2", size=(1024, 1024))
    return anonymized(folder / "generic.tiff")


def refusal(path: Path, facts: ImageFacts) -> str:
    """Why the reader refuses a slide."""
    with pytest.raises(Permanent) as refused:
        READER.verify(path, facts)
    assert refused.value.reason == "proof-failed"
    return refused.value.detail


def test_an_anonymized_aperio_slide_is_accepted(aperio: tuple[Path, ImageFacts]) -> None:
    READER.verify(*aperio)


def test_an_anonymized_plain_slide_is_accepted(generic: tuple[Path, ImageFacts]) -> None:
    READER.verify(*generic)


def test_a_plain_slide_with_sub_directories_is_accepted(tmp_path: Path) -> None:
    write_generic_tiff(tmp_path / "sub.tiff", seed=3, barcode="S26-3", size=(1024, 1024), sub_directories=True)
    READER.verify(*anonymized(tmp_path / "sub.tiff"))


def with_image(clean: Path, copy: Path, subfile: int, description: bytes = b"") -> Path:
    """A copy of an otherwise clean slide with one more image of one strip."""
    shutil.copy(clean, copy)
    with copy.open("r+b") as stream:
        writer = TiffWriter(io.BytesIO())
        writer.stream = stream
        writer._link = _end_of_chain(clean.read_bytes())
        stream.seek(0, os.SEEK_END)
        _write_aside(writer, "label", subfile, drawn(["S26-1"], (320, 320)), bool(description), compressed=False)
    return copy


def _end_of_chain(data: bytes) -> int:
    """Where the last directory of a little-endian classic TIFF points on."""
    link = 4
    while at := int.from_bytes(data[link : link + 4], "little"):
        link = at + 2 + 12 * int.from_bytes(data[at : at + 2], "little")
    return link


def test_a_label_added_to_a_clean_slide_is_refused_as_one(tmp_path: Path, aperio: tuple[Path, ImageFacts]) -> None:
    assert "label or macro image" in refusal(with_image(aperio[0], tmp_path / "label.svs", 1, b"label"), aperio[1])


@pytest.mark.parametrize("subfile", [1, 9], ids=["label", "macro"])
def test_a_label_or_macro_without_description_is_refused(tmp_path: Path, aperio: tuple[Path, ImageFacts], subfile: int) -> None:
    assert refusal(with_image(aperio[0], tmp_path / "label.svs", subfile), aperio[1])


def test_a_label_in_a_plain_slide_is_refused(tmp_path: Path, generic: tuple[Path, ImageFacts]) -> None:
    assert "no level" in refusal(with_image(generic[0], tmp_path / "label.tiff", 1), generic[1])


def test_one_more_image_of_strips_is_refused_whatever_its_type(
    tmp_path: Path, aperio: tuple[Path, ImageFacts], generic: tuple[Path, ImageFacts]
) -> None:
    assert "number of images" in refusal(with_image(aperio[0], tmp_path / "more.svs", 0), aperio[1])
    assert "number of images" in refusal(with_image(generic[0], tmp_path / "more.tiff", 0), generic[1])


def test_a_colour_profile_that_cannot_be_read_is_refused(tmp_path: Path, aperio: tuple[Path, ImageFacts]) -> None:
    broken = tmp_path / "broken.svs"
    broken.write_bytes(aperio[0].read_bytes().replace(b"acsp", b"Jane"))
    assert "colour profile" in refusal(broken, aperio[1])


@pytest.mark.parametrize("name", ["aperio.svs", "generic.tif", "real"])
def test_colours_come_out_the_same(tmp_path: Path, name: str) -> None:
    original = tmp_path / name
    if name == "real":
        original = shutil.copy(shared("slides", "svs", "TCGA-CR-7395-01A-01-TS1.svs"), tmp_path / "real.svs")
    else:
        profile = (34675, UNDEFINED, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
        original.write_bytes(minimal_slide(with_tags(profile), **({} if name == "aperio.svs" else {"description": None})))
    clean, facts = anonymized(original)
    READER.verify(clean, facts)
    seen = []
    for path in (original, clean):
        with openslide.OpenSlide(path) as slide:
            region = slide.read_region((0, 0), 0, (256, 256)).convert("RGB")
            assert slide.color_profile is not None
            seen.append(ImageCms.profileToProfile(region, slide.color_profile, ImageCms.createProfile("LAB"), outputMode="LAB").tobytes())
    assert seen[0] == seen[1]


def test_a_slide_as_the_scanner_wrote_it_is_refused(folder: Path, aperio: tuple[Path, ImageFacts]) -> None:
    assert refusal(folder / "aperio.svs", aperio[1])


def test_a_surviving_tag_is_refused_by_its_number(tmp_path: Path, aperio: tuple[Path, ImageFacts]) -> None:
    original = tmp_path / "tags.svs"
    write_aperio(original, seed=1, barcode="S26-1", size=SIZE, label=False, macro=False)
    assert "tag 306" in refusal(original, aperio[1])


def test_a_surviving_tag_in_a_plain_slide_is_refused(folder: Path, generic: tuple[Path, ImageFacts]) -> None:
    assert "tag 271" in refusal(folder / "generic.tiff", generic[1])


def test_a_description_in_a_plain_slide_is_refused(tmp_path: Path, generic: tuple[Path, ImageFacts]) -> None:
    described = tmp_path / "described.tiff"
    described.write_bytes(_with_tag(generic[0].read_bytes(), old=262, new=270))
    assert refusal(described, generic[1])


def _with_tag(data: bytes, old: int, new: int) -> bytes:
    """The slide with the number of the first directory's tag ``old`` replaced."""
    changed = bytearray(data)
    at = int.from_bytes(changed[4:8], "little")
    for entry in range(int.from_bytes(changed[at : at + 2], "little")):
        place = at + 2 + 12 * entry
        if int.from_bytes(changed[place : place + 2], "little") == old:
            changed[place : place + 2] = new.to_bytes(2, "little")
    assert changed != data
    return bytes(changed)


OTHER_FACTS: dict[str, Callable[[ImageFacts], ImageFacts]] = {
    "width": lambda facts: _with_levels(facts, (facts.levels[0].model_copy(update={"width": 1000}), *facts.levels[1:])),
    "height": lambda facts: _with_levels(facts, (facts.levels[0].model_copy(update={"height": 700}), *facts.levels[1:])),
    "a level less": lambda facts: _with_levels(facts, facts.levels[:-1]),
    "a level more": lambda facts: _with_levels(facts, (*facts.levels, Level(width=64, height=48, tile_width=256, tile_height=256))),
    "resolution": lambda facts: facts.model_copy(update={"mpp": 0.5}),
    "vendor": lambda facts: facts.model_copy(update={"format": "generic-tiff"}),
    "colour profile": lambda facts: facts.model_copy(update={"icc": not facts.icc}),
    "thumbnail": lambda facts: facts.model_copy(update={"thumbnail": not facts.thumbnail}),
    "an image less": lambda facts: facts.model_copy(update={"images": facts.images - 1}),
    "a level twice": lambda facts: _with_levels(facts, (*facts.levels, facts.levels[-1])),
}


def _with_levels(facts: ImageFacts, levels: tuple[Level, ...]) -> ImageFacts:
    return facts.model_copy(update={"levels": levels})


@pytest.mark.parametrize("what", OTHER_FACTS)
def test_a_slide_that_is_not_what_was_planned_is_refused(aperio: tuple[Path, ImageFacts], what: str) -> None:
    assert refusal(aperio[0], OTHER_FACTS[what](aperio[1]))


GARBAGE = {
    "empty": b"",
    "zeros": bytes(10_000),
    "random": Random(1).randbytes(10_000),
    "TIFF header only": b"II*\0\x08\0\0\0",
    "text": b"no slide",
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_refused(tmp_path: Path, aperio: tuple[Path, ImageFacts], kind: str) -> None:
    (tmp_path / "garbage.svs").write_bytes(GARBAGE[kind])
    assert refusal(tmp_path / "garbage.svs", aperio[1])


def test_a_slide_cut_short_is_refused(tmp_path: Path, aperio: tuple[Path, ImageFacts]) -> None:
    cut = tmp_path / "cut.svs"
    cut.write_bytes(aperio[0].read_bytes())
    os.truncate(cut, cut.stat().st_size // 2)
    assert refusal(cut, aperio[1])


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_slide_is_accepted_or_refused_and_never_anything_else(
    folder: Path, generic: tuple[Path, ImageFacts], damage: list[tuple[int, int]]
) -> None:
    data = bytearray(generic[0].read_bytes())
    directory = int.from_bytes(data[4:8], "little")
    for at, value in damage:
        data[(directory + at) % len(data)] = value
    damaged = folder / "damaged.tiff"
    damaged.write_bytes(data)
    try:
        READER.verify(damaged, generic[1])
    except Permanent as refused:
        assert refused.reason == "proof-failed"


def test_what_a_refusal_says_names_no_file(tmp_path: Path, aperio: tuple[Path, ImageFacts]) -> None:
    (tmp_path / "Doe^Jane.svs").write_bytes(b"no slide")
    assert "Doe" not in refusal(tmp_path / "Doe^Jane.svs", aperio[1])


@pytest.mark.parametrize("longest_side", [64, 300])
def test_a_thumbnail_is_a_small_jpeg_of_the_whole_slide(aperio: tuple[Path, ImageFacts], longest_side: int) -> None:
    image = Image.open(io.BytesIO(READER.thumbnail(aperio[0], longest_side)))
    assert (image.format, max(image.size)) == ("JPEG", longest_side)
    assert image.width / image.height == pytest.approx(SIZE[0] / SIZE[1], rel=0.05)


def test_a_thumbnail_has_no_metadata(tmp_path: Path) -> None:
    planted = write_aperio(tmp_path / "original.svs", seed=4, barcode="S26-4", size=SIZE, icc=True)
    data = READER.thumbnail(planted.path, 200)
    image = Image.open(io.BytesIO(data))
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert not [text for text in planted.identifiers if text.encode() in data]


def test_a_thumbnail_shows_the_slides_colours(aperio: tuple[Path, ImageFacts]) -> None:
    thumbnail = Image.open(io.BytesIO(READER.thumbnail(aperio[0], 64)))
    with openslide.OpenSlide(aperio[0]) as slide:
        lowest = slide.level_count - 1
        seen = slide.read_region((0, 0), lowest, slide.level_dimensions[lowest]).convert("RGB")
    coarse = [np.asarray(image.resize((8, 6), Image.Resampling.BOX), int) for image in (thumbnail, seen)]
    assert np.abs(coarse[0] - coarse[1]).max() < 12, "but for what JPEG does to them"
    assert coarse[1].std() > 12, "and not all of one colour"


def test_what_a_picture_carries_beside_its_pixels_is_told() -> None:
    exif = Image.Exif()
    exif[270] = "Featherstone"
    exif.get_ifd(34665)[37510] = b"ASCII\0\0\0Hockenberry"
    text = PngInfo()
    text.add_text("Title", "Castellanos")
    pictures = {"JPEG": {"exif": exif, "comment": b"Drummond-Hay"}, "PNG": {"pnginfo": text}}
    told = b""
    for kind, more in pictures.items():
        stream = io.BytesIO()
        Image.new("RGB", (8, 8)).save(stream, kind, **more)
        stream.seek(0)
        told += b"|".join(READER.embedded_texts(stream))
    assert [name for name in (b"Featherstone", b"Hockenberry", b"Castellanos", b"Drummond-Hay") if name not in told] == []


@pytest.mark.parametrize("kind", GARBAGE)
def test_what_is_no_picture_carries_nothing(kind: str) -> None:
    assert READER.embedded_texts(io.BytesIO(GARBAGE[kind])) == []


def test_a_thumbnail_of_garbage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "garbage.svs").write_bytes(b"no slide")
    with pytest.raises(Permanent) as refused:
        READER.thumbnail(tmp_path / "garbage.svs", 100)
    assert refused.value.reason == "proof-failed"
