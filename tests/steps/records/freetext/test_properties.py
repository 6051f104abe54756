"""What holds for any text and any identifier."""

from __future__ import annotations

import datetime
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slidekeeper.model.contract import Identifies
from slidekeeper.steps.records.freetext.document import WORD
from slidekeeper.steps.records.freetext.identifiers import KnownIdentifier
from slidekeeper.steps.records.freetext.numbers import compact
from slidekeeper.steps.records.freetext.scrubber import Scrubber
from slidekeeper.steps.records.freetext.spans import MARK
from slidekeeper.steps.records.freetext.spelling import folded, is_slip, neighbourhood
from slidekeeper.steps.records.freetext.vocabulary import shipped

SCRUBBER = Scrubber([KnownIdentifier.of(Identifies.NAME, "Perea"), KnownIdentifier.of(Identifies.ID, "S16-55632")])
FRAGMENTS = st.sampled_from(
    "Dr. Mr Mrs. Pinto PINTO Carolina A. C Perea and the from at St. Clinic Hospital signed by Patient : , . - / ( ) [ ] [NAME] "
    "[DATE] [ID] # MRN 2016 02 07 7 Feb 2/7 16 on 20370477 20 370 477 S16 55632 A1 95 year old 555-123-4567 +1 @ example.org www. "
    "12 Oak Street Chicago, IL 60601 x x-ray HER2 1+ 3+4 O'Sullivan ’s é ﬁ ² Ω 李 a b".split()
)
TEXTS = st.lists(st.one_of(FRAGMENTS, st.text(max_size=4)), max_size=25).flatmap(
    lambda parts: st.lists(st.sampled_from(["", " ", " ", "\n", "-"]), min_size=len(parts), max_size=len(parts)).map(
        lambda gaps: "".join(part + gap for part, gap in zip(parts, gaps, strict=True))
    )
)
LATIN = st.characters(codec="latin-1", categories=["Lu", "Ll"])
NAMES = st.text(LATIN, min_size=4, max_size=12).map(str.capitalize)
FILLERS = st.lists(st.sampled_from("tissue shows no atypia margin clear Gleason 3+4 of 1.2 cm, level; HER2 (x)".split()), max_size=6).map(
    " ".join
)
FREELY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CAROLINA = [
    KnownIdentifier.of(kind, value)
    for kind, value in (
        (Identifies.NAME, "Carolina"),
        (Identifies.NAME, "Pinto"),
        (Identifies.ID, "20370477"),
        (Identifies.DATE, "2016-02-07"),
    )
]


def without_marks(text: str) -> str:
    return MARK.sub(" ", text)


@FREELY
@given(TEXTS)
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    once = SCRUBBER.scrub(text, CAROLINA).text
    assert SCRUBBER.scrub(once, CAROLINA).text == once


@FREELY
@given(st.text(), st.lists(st.tuples(st.sampled_from(Identifies), st.text()), max_size=5))
def test_no_text_and_no_identifier_breaks_it(text: str, values: list[tuple[Identifies, str]]) -> None:
    known = [KnownIdentifier.of(kind, value) for kind, value in values]
    assert isinstance(SCRUBBER.scrub(text, known).text, str)
    assert isinstance(Scrubber(known).scrub(text, []).text, str)


@FREELY
@given(FILLERS, NAMES, st.sampled_from([str, str.upper, str.lower]), FILLERS, st.sampled_from([" ", ", ", "\n", " (", "-", "_"]))
def test_no_known_name_survives(before: str, name: str, case: type[str], after: str, gap: str) -> None:
    known = [KnownIdentifier.of(Identifies.NAME, name)]
    scrubbed = without_marks(SCRUBBER.scrub(f"{before}{gap}{case(name)}{gap}{after}", known).text)
    assert folded(name) not in [folded(word) for word in WORD.findall(scrubbed)]


@FREELY
@given(FILLERS, NAMES, st.data(), FILLERS)
def test_no_known_name_survives_with_a_letter_left_out_beside_the_other(before: str, name: str, data: st.DataObject, after: str) -> None:
    left_out = data.draw(st.integers(0, len(name) - 1))
    slip = name[:left_out] + name[left_out + 1 :]
    known = [KnownIdentifier.of(Identifies.NAME, name), KnownIdentifier.of(Identifies.NAME, "Carolina")]
    scrubbed = SCRUBBER.scrub(f"{before} Carolina {slip} {after}", known).text
    is_one_slip = is_slip(folded(slip), folded(name)) and folded(slip) not in shipped().function
    assert not is_one_slip or slip not in WORD.findall(without_marks(scrubbed))


@FREELY
@given(FILLERS, st.dates(datetime.date(1920, 1, 1), datetime.date(2030, 1, 1)), st.data(), FILLERS)
def test_no_known_date_survives(before: str, date: datetime.date, data: st.DataObject, after: str) -> None:
    forms = ["%Y-%m-%d", "%m/%d/%y", "%d.%m.%Y", "%d-%b-%y", "%B %d, %Y", "%d %b %Y", "%m/%d", "%b %d", "%B %dth", "%Y%m%d", "%d.%m."]
    written = date.strftime(data.draw(st.sampled_from(forms)))
    scrubbed = SCRUBBER.scrub(f"{before}; {written}; {after}", [KnownIdentifier.of(Identifies.DATE, date.isoformat())]).text
    assert written not in scrubbed


@FREELY
@given(FILLERS, st.from_regex(r"[A-Z]{0,2}[0-9]{2}-?[0-9]{4,6}", fullmatch=True), st.sampled_from(["", " ", "-", ".", "/"]), FILLERS)
def test_no_known_number_survives(before: str, number: str, gap: str, after: str) -> None:
    written = gap.join(re.findall(r"[A-Z]*\d{2}|\d{1,3}", number.replace("-", "")))
    scrubbed = SCRUBBER.scrub(f"{before} ; {written} ; {after}", [KnownIdentifier.of(Identifies.ID, number)]).text
    assert compact(number) not in compact(without_marks(scrubbed))


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_words_one_slip_apart_share_a_neighbour(left: str, right: str) -> None:
    if is_slip(left, right):
        assert not neighbourhood(left).isdisjoint(neighbourhood(right))


@given(st.text("abc", min_size=2, max_size=6), st.data())
def test_a_swap_of_two_letters_is_one_slip(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word) - 2))
    swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    assert is_slip(word, swapped)
