"""Forms and cues, with no record at all."""

from __future__ import annotations

import pytest

from slidekeeper.steps.records.freetext.scrubber import Scrubber


@pytest.fixture(scope="module")
def scrubber() -> Scrubber:
    return Scrubber([])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("mail john_doe+1@mail.example.org now", "mail [EMAIL] now"),
        ("see https://example.org/p?id=7 now", "see [URL] now"),
        ("host 192.168.1.17 now", "host [IP] now"),
        ("host 2001:db8::1 now", "host [IP] now"),
        ("ring (555) 123-4567 now", "ring [PHONE] now"),
        ("ring +44 20 7946 0958 now", "ring [PHONE] now"),
        ("Tel: 555-1234 now", "Tel: [PHONE] now"),
        ("SSN 123-45-6789 now", "SSN [ID] now"),
        ("MRN: 998877 now", "MRN: [ID] now"),
        ("[Hosp no 4973 3968) now", "[Hosp no [ID]) now"),
        ("patient ID #AB-987654 now", "patient ID #[ID] now"),
        ("account GB33BUKB20201555555555 now", "account [ID] now"),
        ("account DE89 3704 0044 0532 0130 00 now", "account [ID] now"),
        ("number 130 692 544 now", "number [ID] now"),
        ("number 943 476 5919 now", "number [PHONE] now"),
        ("card 4111 1111 1111 1111 now", "card [ID] now"),
        ("outside biopsy C18-6329 now", "outside biopsy [ID] now"),
        ("lives at 12 Old Oak Street Apt. 4, Springfield, IL 62704 now", "lives at [ADDRESS] now"),
        ("lives in Chicago, IL now", "lives in [PLACE] now"),
        ("P.O. Box 123 now", "[ADDRESS] now"),
        ("a 94-year-old man", "a [AGE]-year-old man"),
        ("aged 101 and well", "aged [AGE] and well"),
        ("a 95 y/o man, in her 90s", "a [AGE] y/o man, in her [AGE]s"),
        ("an 89-year-old man", "an 89-year-old man"),
        ("seen by Dr. Le Roux today", "seen by Dr. [NAME] today"),
        ("Mr. White agreed", "Mr. [NAME] agreed"),
        ("Signed by: Rahman, Andrew MD on 3/4", "Signed by: [NAME] on [DATE]"),
        ("wife Catherine Vaillant asked", "wife [NAME] asked"),
        ("a woman, Sarah P., came", "a woman, [NAME], came"),
        ("John Smith came", "[NAME] came"),
        ("seen at Stanford and St. Vincent's Hospital", "seen at [PLACE] and [PLACE]"),
        ("from Lakeside Medical Center today", "from [PLACE] today"),
        ("in March 2016 and on 12/5", "in [DATE] and on [DATE]"),
    ],
)
def test_what_has_the_form_of_an_identifier_goes(scrubber: Scrubber, written: str, expected: str) -> None:
    assert scrubber.scrub(written, []).text == expected


@pytest.mark.parametrize(
    "written",
    [
        "on 2/5 slides, in 12/15 cores, levels 1/3 and 2/3",
        "WBC 11,000 and 250000 platelets at 1:200 dilution, 10-15% or 3-5 mm",
        "Vitamin D. Hepatitis B. Stage III at low power. Group A.",
        "patient may be seen with FISH by IHC at MRI",
        "CK5/6, CD117, p16, SOX10, BRAF V600E, 17p13.1, c.1799T>A",
        "Patient history: none. Specimen: 3 cassettes A1-A3. Case reviewed. Block 12.",
        "45 of 90 cores; 95% of cells; 92 mm; 90 mg",
    ],
)
def test_what_is_measured_stays(scrubber: Scrubber, written: str) -> None:
    assert scrubber.scrub(written, []).text == written
