"""Rows find their slides by name or not at all, and every row is accounted for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.steps.alignment.align import Alignment, Finding, align

SOURCES = ("imagery", "patients", "diagnoses")
ROWS = {"row": pl.Int64, "slide_number": pl.String, "patient_number": pl.String, "case_number": pl.String}
Rows = Sequence[tuple[int, str | None, str | None]]


def source(rows: Rows) -> pl.DataFrame:
    """Rows of (line, reference, patient)."""
    return pl.DataFrame([(row, reference, patient, None) for row, reference, patient in rows], schema=ROWS, orient="row")


def stored(*own: str, elsewhere: Sequence[str] = ()) -> pl.DataFrame:
    numbers = [*own, *elsewhere]
    columns = {"number": numbers, "batch": ["b"] * len(numbers), "own": [number in own for number in numbers]}
    return pl.DataFrame(columns, schema={"number": pl.String, "batch": pl.String, "own": pl.Boolean})


def said(alignment: Alignment) -> dict[tuple[str, int], tuple[str | None, str | None, str | None]]:
    """What is said of each row: slide, method, problem."""
    rows = alignment.rows.select("source", "row", "slide_number", "match_method", "problem").iter_rows()
    return {(name, row): (slide, method, problem) for name, row, slide, method, problem in rows}


def test_a_row_is_tied_to_the_slide_it_names() -> None:
    found = align({"imagery": source([(2, "1", None)])}, stored("1"), {})
    assert said(found) == {("imagery", 2): ("1", "exact", None)}
    assert found.counts == {**dict.fromkeys(Finding, 0), "matched": 1}
    assert found.slides.rows(named=True) == [{"slide_number": "1", "has_imagery": True, "problem": None}]


def test_a_slide_of_another_batch_is_found_and_not_missed() -> None:
    found = align({"imagery": source([(2, "1", None)])}, stored(elsewhere=["1", "2"]), {})
    assert said(found) == {("imagery", 2): ("1", "exact", None)}
    assert found.slides.is_empty()


def test_a_name_that_is_the_same_after_normalization_counts_where_no_exact_one_is_stored() -> None:
    found = align({"imagery": source([(2, "7", None), (3, "2", None)])}, stored("1", "2"), {"7": ["1", "9"], "2": ["1"]})
    assert said(found) == {("imagery", 2): ("1", "normalized", None), ("imagery", 3): ("2", "exact", None)}


def test_a_name_that_could_be_several_slides_is_tied_to_none() -> None:
    found = align({"imagery": source([(2, "7", None)])}, stored("1", "2"), {"7": ["1", "2"]})
    assert said(found) == {("imagery", 2): (None, None, "ambiguous")}


def test_a_row_whose_slide_is_not_stored_waits() -> None:
    found = align({"imagery": source([(2, "7", None), (3, None, None)])}, stored("1"), {"7": ["8"]})
    assert said(found) == {("imagery", 2): (None, None, "row-without-slide"), ("imagery", 3): (None, None, "row-without-slide")}


def test_of_two_rows_for_one_slide_none_is_chosen() -> None:
    rows = {"imagery": source([(2, "1", None), (3, "7", None)]), "patients": source([(2, "1", None)])}
    found = align(rows, stored("1"), {"7": ["1"]})
    assert said(found) == {
        ("imagery", 2): ("1", "exact", "duplicate-row"),
        ("imagery", 3): ("1", "normalized", "duplicate-row"),
        ("patients", 2): ("1", "exact", None),
    }


def test_sources_that_disagree_about_the_patient_are_not_believed() -> None:
    rows = {"imagery": source([(2, "1", None)]), "patients": source([(2, "1", "p"), (3, "2", "p")]), "diagnoses": source([(2, "1", "q")])}
    found = align(rows, stored("1", "2"), {})
    assert [problem for _, _, problem in said(found).values()] == ["patient-conflict", "patient-conflict", "patient-conflict", None]


def test_a_slide_tells_which_source_has_no_row_for_it() -> None:
    found = align({"imagery": source([(2, "1", None)]), "patients": source([])}, stored("1", "2"), {})
    assert found.slides.rows() == [("1", True, False, "slide-without-row"), ("2", False, False, "slide-without-row")]
    assert found.counts["slide-without-row"] == 2


def test_sources_without_patients_and_cases_are_aligned_too() -> None:
    bare = source([(2, "1", None)]).select("row", "slide_number")
    found = align({"imagery": bare, "patients": source([(5, "1", "p")])}, stored("1"), {})
    assert found.rows.get_column("patient_number").to_list() == [None, "p"]
    assert found.counts["matched"] == 2


def test_nothing_at_all_can_be_aligned() -> None:
    found = align({}, stored(), {})
    assert (found.rows.height, found.slides.height, sum(found.counts.values())) == (0, 0, 0)


numbers = st.sampled_from([*"123456"])
references = st.one_of(st.none(), numbers)
patients = st.one_of(st.none(), st.sampled_from("pq"))
sheets = st.lists(st.tuples(references, patients), max_size=8).map(lambda rows: [(line, *row) for line, row in enumerate(rows, 2)])
worlds = st.fixed_dictionaries(
    {
        "sources": st.dictionaries(st.sampled_from(SOURCES), sheets),
        "own": st.sets(numbers),
        "elsewhere": st.sets(numbers),
        "aliases": st.dictionaries(numbers, st.lists(numbers, max_size=3)),
    }
)


def aligned(world: Mapping[str, Any], shuffled: random.Random | None = None) -> Alignment:
    """The world's alignment, with everything in another order if wanted."""

    def ordered(things: Any) -> list[Any]:
        listed = list(things)
        return shuffled.sample(listed, len(listed)) if shuffled else listed

    rows = {name: source(ordered(world["sources"][name])) for name in ordered(world["sources"])}
    aliases = {reference: ordered(world["aliases"][reference]) for reference in ordered(world["aliases"])}
    return align(rows, stored(*ordered(world["own"]), elsewhere=ordered(world["elsewhere"])), aliases)


@given(worlds)
@settings(max_examples=60, deadline=None)
def test_every_row_is_in_exactly_one_bucket_and_the_counts_add_up(world: Mapping[str, Any]) -> None:
    found = aligned(world)
    came = sorted((name, row) for name, rows in world["sources"].items() for row, _, _ in rows)
    assert found.rows.select("source", "row").rows() == came
    problems = Counter(problem or "matched" for _, _, problem in said(found).values())
    assert problems == Counter({name: count for name, count in found.counts.items() if name != "slide-without-row" and count})
    assert found.slides.get_column("slide_number").to_list() == sorted(world["own"])
    assert found.slides.get_column("problem").drop_nulls().len() == found.counts["slide-without-row"]


@given(worlds)
@settings(max_examples=60, deadline=None)
def test_a_tied_row_is_the_only_one_of_its_source_and_its_slide_is_stored(world: Mapping[str, Any]) -> None:
    tied = [(name, slide) for (name, _), (slide, _, problem) in said(aligned(world)).items() if problem is None]
    assert len(tied) == len(set(tied))
    assert {slide for _, slide in tied} <= world["own"] | world["elsewhere"]


@given(worlds, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_in_which_anything_comes_does_not_matter(world: Mapping[str, Any], shuffled: random.Random) -> None:
    one, other = aligned(world), aligned(world, shuffled)
    assert one.rows.equals(other.rows)
    assert one.slides.equals(other.slides)
    assert one.counts == other.counts
