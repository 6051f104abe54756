"""Names that are shown are random, well-formed and survive spreadsheets; values refuse what they do not know."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from slidekeeper.model.identity import (
    BatchId,
    PackId,
    SlideNumber,
    new_batch_id,
    new_pack_id,
    new_slide_number,
    new_slide_numbers,
    revision_key,
)
from slidekeeper.model.slide import ImageFacts, Level, SlideFacts

IMAGE = ImageFacts(format="aperio", extension=".svs", levels=(Level(width=9, height=8, tile_width=4, tile_height=4),), compression="jpeg")
FACTS = SlideFacts(
    number=SlideNumber("123456789012"),
    revision=2,
    pack=PackId("a" * 16),
    batch=BatchId("b" * 12),
    drop="scanner",
    image=IMAGE,
    size=100,
    digest="blake3:" + "0" * 64,
    seconds=0.5,
    anonymizer="1",
)


def test_a_pack_id_has_sixteen_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{16}", new_pack_id())


def test_a_batch_id_has_twelve_hexadecimal_digits() -> None:
    assert re.fullmatch("[0-9a-f]{12}", new_batch_id())


def test_a_slide_number_has_twelve_digits_and_no_leading_zero() -> None:
    numbers = new_slide_numbers(500)
    assert len(numbers) == 500
    assert all(re.fullmatch("[1-9][0-9]{11}", number) for number in [new_slide_number(), *numbers])


@pytest.mark.parametrize("draw", [new_pack_id, new_batch_id, new_slide_number])
def test_no_name_is_drawn_twice(draw: object) -> None:
    assert len({draw() for _ in range(2000)}) == 2000  # type: ignore[operator]


def test_a_revisions_key_begins_with_the_first_digits_so_that_no_folder_grows_too_large() -> None:
    assert revision_key(SlideNumber("123456789012"), 3) == "slides/123/123456789012/r3"


@given(st.integers(10**11, 10**12 - 1), st.integers(1, 999), st.integers(10**11, 10**12 - 1), st.integers(1, 999))
def test_no_two_revisions_share_a_key(number: int, revision: int, other: int, other_revision: int) -> None:
    same = revision_key(SlideNumber(str(number)), revision) == revision_key(SlideNumber(str(other)), other_revision)
    assert same == ((number, revision) == (other, other_revision))


def test_a_slide_names_its_file_and_its_folder() -> None:
    assert (FACTS.file_name, FACTS.key) == ("123456789012.svs", "slides/123/123456789012/r2")


def test_facts_survive_json() -> None:
    assert SlideFacts.model_validate_json(FACTS.model_dump_json()) == FACTS


def test_facts_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError, match="barcode"):
        SlideFacts.model_validate({**FACTS.model_dump(), "barcode": "S26-1"})


def test_facts_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FACTS.revision = 3
