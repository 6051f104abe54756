"""What is known never survives; what must survive does; scrubbing twice changes nothing."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import polars as pl
import pytest

from slidekeeper.model.contract import Identifies
from slidekeeper.steps.records.freetext.identifiers import KnownIdentifier
from slidekeeper.steps.records.freetext.scrubber import Scrubber

CAROLINA = [
    KnownIdentifier.of(kind, value)
    for kind, value in (
        (Identifies.NAME, "Carolina"),
        (Identifies.NAME, "Pinto"),
        (Identifies.ID, "20370477"),
        (Identifies.ID, "S16-55632"),
        (Identifies.BIRTH_DATE, "1982-03-30"),
        (Identifies.DATE, "2016-02-07"),
        (Identifies.ADDRESS, "60181 Aguilar Parkways Apt. 016"),
        (Identifies.ADDRESS, "New April"),
        (Identifies.ZIP, "72727"),
        (Identifies.PHONE, "(609) 139-0996"),
        (Identifies.EMAIL, "carolina.pinto@example.org"),
    )
]


@pytest.fixture(scope="module")
def scrubber() -> Scrubber:
    return Scrubber(
        [KnownIdentifier.of(Identifies.NAME, name) for name in ("Abigaíl Perea", "Wolf", "White", "O'Sullivan", "van den Bogaert")]
    )


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("seen: Carolina Pinto today", "seen: [NAME] today"),
        ("seen: PINTO, CAROLINA today", "seen: [NAME] today"),
        ("seen: A. Pinto today", "seen: [NAME] today"),
        ("seen: Pinto C today", "seen: [NAME] today"),
        ("seen: Carolina Pnito today", "seen: [NAME] today"),
        ("Pinto's biopsy", "[NAME] biopsy"),
        ("told Mrs. Pinto, who agreed", "told [NAME], who agreed"),
        ("given to CP by hand", "given to [NAME] by hand"),
        ("given to C.P. by hand", "given to [NAME] by hand"),
        ("copy for 20 370 477 kept", "copy for [ID] kept"),
        ("copy for 2037-0477 kept", "copy for [ID] kept"),
        ("block s1655632 kept", "block [ID] kept"),
        ("block S16 55632-A1 kept", "block [ID] kept"),
        ("block S2016-55632 kept", "block [ID] kept"),
        ("reached 609.139.0996 once", "reached [PHONE] once"),
        ("reached 139 0996 once", "reached [PHONE] once"),
        ("mail carolina.pinto@example.org once", "mail [EMAIL] once"),
        ("mail Carolina.Pinto at example.org once", "mail [NAME] at example.org once"),
        ("home 60181 Aguilar Parkways once", "home [ADDRESS] once"),
        ("home in new april once", "home in [ADDRESS] once"),
        ("home 72727 once", "home [ADDRESS] once"),
    ],
)
def test_every_spelling_of_a_known_identifier_goes(scrubber: Scrubber, written: str, expected: str) -> None:
    assert scrubber.scrub(written, CAROLINA).text == expected


@pytest.mark.parametrize(
    "written",
    "2016-02-07|02/07/16|2/7/2016|7.2.2016|07. 02. 2016|February 7, 2016|7 Feb 2016|07-FEB-16|7th of February 2016|7. Februar 2016|20160207"
    "|February 7th|Feb 7|7 Feb|2/7|7/2|7 février|2016-02-07T10:30:00Z".split("|"),
)
def test_every_spelling_of_a_known_date_goes(scrubber: Scrubber, written: str) -> None:
    assert scrubber.scrub(f"slides {written} kept", CAROLINA).text == "slides [DATE] kept"


@pytest.mark.parametrize(
    "written",
    [
        "Gleason 3+4=7, tertiary pattern 5 under 5%.",
        "Ki-67 20%, HER2 1+, ER 8/8 Allred, CD30+, CD15+, EBER negative, p53 wild type.",
        "Classical Hodgkin lymphoma; Reed-Sternberg cells; Paget disease; Barrett esophagus.",
        "Lymph nodes 0/12, deeper levels 2/5 examined, 1.8 x 1.2 x 0.9 cm, mitoses 4 per 10 HPF.",
        "57-year-old with PSA 12.4, pT1b pNX, cT2a, MLH1 and MSH6 intact.",
        "White tissue with a wolf-like pattern may be seen in March and may recur.",
        "Signed out by the resident at low power from a punch biopsy.",
        "In 2016 she was treated with 100000 units.",
    ],
)
def test_the_language_of_reports_stays(scrubber: Scrubber, written: str) -> None:
    assert scrubber.scrub(written, []).text == written


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Signed by Perea on 3/4.", "Signed by [NAME] on [DATE]."),
        ("cc Abigail Perea", "cc [NAME]"),
        ("Sullivan and O’Sullivan", "Sullivan and [NAME]"),
        ("copy to van den Bogaert", "copy to van den [NAME]"),
    ],
)
def test_names_of_the_batch_go_from_everybodys_text(scrubber: Scrubber, written: str, expected: str) -> None:
    assert scrubber.scrub(written, []).text in {expected, expected.replace("van den ", "")}


def test_a_patients_own_name_goes_though_it_be_an_eponym(scrubber: Scrubber) -> None:
    gleason = [KnownIdentifier.of(Identifies.NAME, "Gleason")]
    assert scrubber.scrub("Mr. Gleason, Gleason 7, hodgkin", gleason).text == "[NAME] 7, hodgkin"


def test_a_year_of_birth_goes_and_other_years_stay(scrubber: Scrubber) -> None:
    assert scrubber.scrub("born 1982, treated 2015", CAROLINA).text == "born [DATE], treated 2015"


def test_what_was_masked_is_counted(scrubber: Scrubber) -> None:
    assert scrubber.scrub("Pinto 20370477, Pinto 2016-02-07", CAROLINA).counts == {"NAME": 2, "ID": 1, "DATE": 1}


def test_a_column_is_scrubbed_with_each_patients_own_identifiers(scrubber: Scrubber) -> None:
    texts = pl.Series("text", ["bark of a pinto", None, "bark of a pinto", "bark"])
    patients = pl.Series("patient", ["1", "1", "2", None])
    scrubbed = scrubber.scrub_series(texts, patients, {"1": CAROLINA})
    assert scrubbed.to_list() == ["bark of a [NAME]", None, "bark of a pinto", "bark"]
    assert scrubbed.name == "text"
    assert scrubber.scrub_series(texts, None, {}).to_list() == texts.to_list()


def test_a_scrubber_travels_to_a_worker(scrubber: Scrubber) -> None:
    copy = pickle.loads(pickle.dumps(scrubber))
    assert copy.scrub("by Perea", []).text == "by [NAME]"


def test_no_repr_tells_an_identifier(scrubber: Scrubber) -> None:
    seen = [*CAROLINA, scrubber, scrubber._batch, scrubber._dictionary.word("Perea"), scrubber.scrub("Perea", CAROLINA)]
    assert not any(name in repr(each) for each in seen for name in ("Carolina", "Pinto", "Perea", "perea", "20370477"))


class Surnames:
    """A names model that knows one name."""

    def names(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        return [[(text.index("Quux"), text.index("Quux") + 4)] if "Quux" in text else [] for text in texts]


def test_a_names_model_adds_what_it_finds() -> None:
    assert Scrubber([], Surnames()).scrub("bark of Quux", []).text == "bark of [NAME]"
