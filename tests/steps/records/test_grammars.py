"""Closed grammars: what is clear comes out in a closed vocabulary; what is not, and all other text, does not."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.errors import Refused
from slidekeeper.steps.records.grammars import extract, grammar_of
from slidekeeper.steps.records.grammars.gleason import grade_group

NAMES = ("gleason", "tnm", "margin", "stage")


def read(name: str, text: str | None) -> dict[str, object]:
    """What a grammar finds in one text, without what it does not find."""
    row = extract(grammar_of(name), pl.Series([text], dtype=pl.String)).row(0, named=True)
    return {part: value for part, value in row.items() if value is not None}


@pytest.mark.parametrize(
    ("text", "primary", "secondary", "group"),
    [
        ("3+3", 3, 3, 1),
        ("Gleason 3+4=7", 3, 4, 2),
        ("Prostate, core 3: adenocarcinoma, Gleason score 4 + 3 = 7 (ISUP grade group 3), 40% of core", 4, 3, 3),
        ("gleason grade 3 (60%) + 5 (40%) = 8", 3, 5, 4),
        ("Gleason score 7 (3+4), Grade Group 2", 3, 4, 2),
        ("Gleason 3+4=7 left; Gleason 3+4=7 right", 3, 4, 2),
        ("Gleason \uff14\uff0b\uff15", 4, 5, 5),
        ("Gleason pattern 5+5=10, WHO grade group 5", 5, 5, 5),
    ],
)
def test_gleason_patterns_give_score_and_grade_group(text: str, primary: int, secondary: int, group: int) -> None:
    expected = {"primary": primary, "secondary": secondary, "score": primary + secondary, "grade_group": group}
    assert read("gleason", text) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Gleason score 6", {"score": 6, "grade_group": 1}),
        ("Gleason score 7", {"score": 7}),
        ("Gleason score 7, ISUP 3", {"score": 7, "grade_group": 3}),
        ("Gleason 10", {"score": 10, "grade_group": 5}),
        ("ISUP-Gruppe 4", {"grade_group": 4}),
        ("GG1", {"grade_group": 1}),
        ("3+4=7 with tertiary pattern 5", {"primary": 3, "secondary": 4, "tertiary": 5, "score": 7, "grade_group": 2}),
    ],
)
def test_gleason_scores_and_groups_are_read_alone(text: str, found: dict[str, int]) -> None:
    assert read("gleason", text) == found


@pytest.mark.parametrize(
    "text",
    [
        "3+4=8",
        "3+4 here, 4+3 there",
        "Gleason 3+4=7, grade group 4",
        "Gleason score 8, ISUP 2",
        "ISUP 2 or ISUP 3",
        "grade 2",
        "6+7",
        "",
        None,
    ],
)
def test_what_contradicts_itself_is_no_gleason_score(text: str | None) -> None:
    assert read("gleason", text) == {}


def test_grade_groups_are_those_of_isup() -> None:
    groups = {(3, 3): 1, (3, 4): 2, (4, 3): 3, (4, 4): 4, (3, 5): 4, (5, 3): 4, (4, 5): 5, (5, 4): 5, (5, 5): 5, (2, 5): 3}
    assert {patterns: grade_group(*patterns) for patterns in groups} == groups


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pT2c pN0 cM0", {"t_basis": "p", "t": "T2c", "n_basis": "p", "n": "N0", "m_basis": "c", "m": "M0"}),
        ("Staged as ypT3aN1M0.", {"t_basis": "yp", "t": "T3a", "n_basis": "yp", "n": "N1", "m": "M0"}),
        ("pT1mi, pN0(i+) (sn)", {"t_basis": "p", "t": "T1mi", "n_basis": "p", "n": "N0(i+)"}),
        ("pTis(DCIS)", {"t_basis": "p", "t": "Tis"}),
        ("rpT4b Nx", {"t_basis": "rp", "t": "T4b", "n_basis": "rp", "n": "NX"}),
        ("T1 N0 M0", {"t": "T1", "n": "N0", "m": "M0"}),
        ("T2", {"t": "T2"}),
        ("cT2 pT3a pN1", {"n_basis": "p", "n": "N1"}),
    ],
)
def test_tnm_categories_come_out_with_their_basis(text: str, found: dict[str, str]) -> None:
    assert read("tnm", text) == found


@pytest.mark.parametrize("text", ["T2 weighted image", "pT12", "pT2x", "pT9", "PT2", "pt2", "NT3", "M1 Abrams", "pT2 pT3"])
def test_what_only_looks_like_tnm_is_none(text: str) -> None:
    assert read("tnm", text) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("R0", {"r": "R0", "status": "negative"}),
        ("R1 resection, margin involved", {"r": "R1", "status": "positive"}),
        ("RX", {"r": "RX"}),
        ("Surgical margins: negative", {"status": "negative"}),
        ("Margins are free of tumor", {"status": "negative"}),
        ("margins not involved", {"status": "negative"}),
        ("uninvolved margins", {"status": "negative"}),
        ("Margin focally positive", {"status": "positive"}),
        ("negative for carcinoma at the margin", {"status": "negative"}),
        ("positive", {"status": "positive"}),
    ],
)
def test_margins_are_read_as_class_or_status(text: str, found: dict[str, str]) -> None:
    assert read("margin", text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("R0 and R1", "R1, margins free", "margins not free", "no margin involvement", "margin cannot be assessed as negative"),
        *("Closest margin 2 mm, nodes negative", "nodes negative margins positive", "Rx aspirin", "no positive margin", "R3", ""),
    ],
)
def test_unclear_margins_are_none(text: str) -> None:
    assert read("margin", text) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Stage IIIA", {"group": "III", "full": "IIIA"}),
        ("adenocarcinoma, stage group: IIIC1, resected", {"group": "III", "full": "IIIC1"}),
        ("Stadium IVb", {"group": "IV", "full": "IVB"}),
        ("3a", {"group": "III", "full": "IIIA"}),
        ("stage 2", {"group": "II", "full": "II"}),
        ("0is", {"group": "0", "full": "0IS"}),
        ("I", {"group": "I", "full": "I"}),
    ],
)
def test_stages_are_read_as_group_and_full_stage(text: str, found: dict[str, str]) -> None:
    assert read("stage", text) == found


@pytest.mark.parametrize("text", ["CKD stage 3", "stage II or stage III", "IIII", "5", "stage", "pressure ulcer stage 2 healed"])
def test_unclear_stages_are_none(text: str) -> None:
    assert read("stage", text) == {}


PIECES = st.sampled_from(
    [
        *("Gleason", "3+4", "=7", "=9", "4 + 3", "ISUP 2", "tertiary 5", "pT2", "T1", "N0", "(sn)", "cM1", "ypT3", "N2b", "R0", "R1", "RX"),
        *("margins", "negative", "not", "free", "involved", "stage", "II", "IIIA", "4B", "Smith", "0", ",", ".", "\n", "pT2cN1M0", "é"),
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=8).map(" ".join) | st.text(max_size=12), max_size=8))
def test_nothing_but_the_closed_vocabulary_comes_out(texts: list[str]) -> None:
    for grammar in map(grammar_of, NAMES):
        found = extract(grammar, pl.Series(texts, dtype=pl.String))
        assert found.height == len(texts)
        for part in grammar.parts:
            assert found.schema[part.name] == part.dtype
            assert set(found[part.name].drop_nulls()) <= set(part.allowed)


@pytest.mark.parametrize("name", NAMES)
def test_each_cell_is_read_by_itself(name: str) -> None:
    texts = ["3+4 pT2 R0 stage II", None, "", "4+4 N1 R1 stage III"]
    together = extract(grammar_of(name), pl.Series(texts, dtype=pl.String)).rows(named=True)
    assert [{part: value for part, value in row.items() if value is not None} for row in together] == [read(name, text) for text in texts]


def test_an_unknown_grammar_is_refused() -> None:
    with pytest.raises(Refused, match="unknown-grammar"):
        grammar_of("poetry")
