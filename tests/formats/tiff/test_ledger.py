"""Every byte of a plan has exactly one origin; bytes that two structures claim, or that must be destroyed, are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.errors import Permanent
from slidekeeper.formats.tiff.image import Ranges
from slidekeeper.formats.tiff.ledger import Ledger
from slidekeeper.model.splice import Content, Keep, Literal, SplicePlan, Zeros


def ranges(*pairs: tuple[int, int]) -> Ranges:
    """Beginnings and ends as an array."""
    return np.array(pairs, np.int64).reshape(-1, 2)


def shape(plan: SplicePlan) -> list[tuple[str, int]]:
    """Kind and length of every piece."""
    return [(type(piece).__name__, piece.length) for piece in plan.pieces]


def refusal(ledger: Ledger) -> str:
    """Why the ledger gives no plan, or an empty string."""
    try:
        ledger.plan()
    except Permanent as refused:
        return refused.reason
    return ""


def test_an_empty_ledger_plans_an_empty_file() -> None:
    assert Ledger().plan().pieces == ()


def test_what_is_not_entered_becomes_zero_and_the_end_is_cut() -> None:
    ledger = Ledger()
    ledger.write(0, b"header", "header")
    ledger.keep(10, 4, "value")
    ledger.keep_coded(ranges((20, 30)))
    ledger.destroy(ranges((40, 90)))
    assert shape(ledger.plan()) == [("Literal", 6), ("Zeros", 4), ("Keep", 4), ("Zeros", 6), ("Keep", 10)]
    assert ledger.plan().size == 30


def test_pixels_are_coded_and_values_are_structure() -> None:
    ledger = Ledger()
    ledger.keep_coded(ranges((0, 5)))
    ledger.keep(5, 3, "value")
    assert ledger.plan().pieces == (Keep(0, 5, Content.CODED, "coded pixels"), Keep(5, 3, Content.STRUCTURE, "value"))


def test_adjoining_tiles_become_one_piece() -> None:
    ledger = Ledger()
    ledger.keep_coded(ranges((10, 20), (0, 10)))
    ledger.keep_coded(ranges((20, 25), (30, 31)))
    assert shape(ledger.plan()) == [("Keep", 25), ("Zeros", 5), ("Keep", 1)]


def test_tiles_may_share_all_of_their_bytes() -> None:
    ledger = Ledger()
    ledger.keep_coded(ranges((5, 9), (5, 9)))
    ledger.keep_coded(ranges((5, 9)))
    assert shape(ledger.plan()) == [("Zeros", 5), ("Keep", 4)]


@pytest.mark.parametrize("other", [(5, 15), (15, 25), (12, 18), (10, 11), (19, 20), (5, 25)])
def test_tiles_that_share_some_of_their_bytes_are_refused(other: tuple[int, int]) -> None:
    ledger = Ledger()
    ledger.keep_coded(ranges((10, 20), other))
    assert refusal(ledger) == "overlapping-ranges"


@pytest.mark.parametrize("destroyed", [(5, 11), (19, 25), (12, 18), (10, 20), (0, 100), (32, 33)])
def test_tiles_that_share_bytes_with_a_destroyed_image_are_refused(destroyed: tuple[int, int]) -> None:
    ledger = Ledger()
    ledger.keep_coded(ranges((10, 20), (30, 40)))
    ledger.destroy(ranges(destroyed))
    assert refusal(ledger) == "overlapping-ranges"


@pytest.mark.parametrize("destroyed", [(0, 10), (20, 30), (40, 50)])
def test_a_destroyed_image_may_lie_right_beside_tiles(destroyed: tuple[int, int]) -> None:
    ledger = Ledger()
    ledger.keep_coded(ranges((10, 20), (30, 40)))
    ledger.destroy(ranges(destroyed))
    assert refusal(ledger) == ""


def test_a_kept_value_inside_a_destroyed_image_is_refused() -> None:
    ledger = Ledger()
    ledger.destroy(ranges((100, 200)))
    ledger.keep(120, 40, "value of tag 320")
    assert refusal(ledger) == "overlapping-ranges"


@pytest.mark.parametrize("kept_first", [True, False])
def test_bytes_that_are_both_kept_and_written_anew_are_refused(kept_first: bool) -> None:
    ledger = Ledger()
    entries = [lambda: ledger.keep(10, 4, "value of tag 347"), lambda: ledger.write(10, b"anew", "colour profile")]
    try:
        for enter in entries if kept_first else reversed(entries):
            enter()
    except Permanent as refused:
        assert refused.reason == "overlapping-ranges"
    else:
        assert refusal(ledger) == "overlapping-ranges"


def test_directories_may_share_a_value_or_a_description() -> None:
    ledger = Ledger()
    for _ in range(2):
        ledger.keep(10, 4, "value")
        ledger.write(20, b"text", "description")
    assert shape(ledger.plan()) == [("Zeros", 10), ("Keep", 4), ("Zeros", 6), ("Literal", 4)]


def test_two_descriptions_in_one_place_are_refused() -> None:
    ledger = Ledger()
    ledger.write(20, b"text", "description")
    with pytest.raises(Permanent):
        ledger.write(20, b"more", "description")


@pytest.mark.parametrize(("offset", "length"), [(8, 4), (11, 4), (9, 2), (4, 20), (10, 1)])
def test_structures_that_share_some_bytes_are_refused(offset: int, length: int) -> None:
    ledger = Ledger()
    ledger.keep(offset, length, "value")
    ledger.write(10, b"text", "description")
    assert refusal(ledger) == "overlapping-ranges"


def test_a_value_inside_a_tile_is_refused() -> None:
    ledger = Ledger()
    ledger.keep_coded(ranges((10, 20)))
    ledger.keep(12, 4, "value")
    assert refusal(ledger) == "overlapping-ranges"


def test_nothing_is_entered_for_no_bytes() -> None:
    ledger = Ledger()
    ledger.keep(10, 0, "value")
    ledger.write(10, b"", "description")
    assert ledger.plan().pieces == ()


SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 12)), max_size=6)


@settings(max_examples=300, deadline=None)
@given(SPANS, SPANS, SPANS)
def test_a_plan_says_of_every_byte_what_was_entered_for_it(
    coded: list[tuple[int, int]], written: list[tuple[int, int]], destroyed: list[tuple[int, int]]
) -> None:
    ledger = Ledger()
    ledger.keep_coded(ranges(*((at, at + length) for at, length in coded)))
    ledger.destroy(ranges(*((at, at + length) for at, length in destroyed)))
    for at, length in written:
        ledger.write(at, b"x" * length, "text")
    claims = [{*range(at, at + length)} for at, length in {*coded}] + [{*range(at, at + length)} for at, length in {*written}]
    gone = {place for at, length in destroyed for place in range(at, at + length)}
    pixels = {place for at, length in coded for place in range(at, at + length)}
    disjoint = sum(map(len, claims)) == len(set().union(*claims)) and not gone & pixels
    assert refusal(ledger) == ("" if disjoint else "overlapping-ranges")
    if disjoint:
        kinds = [type(piece) for piece in ledger.plan().pieces for _ in range(piece.length)]
        texts = {place for at, length in written for place in range(at, at + length)}
        assert {place for place, kind in enumerate(kinds) if kind is Keep} == pixels
        assert {place for place, kind in enumerate(kinds) if kind is Literal} == texts
        assert {place for place, kind in enumerate(kinds) if kind is Zeros}.isdisjoint(pixels | texts)
