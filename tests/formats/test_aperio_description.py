"""Of an Aperio description only what is known to be harmless is written anew; every other value is handed to the proof."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.formats.aperio_description import ICC_NAMES, KEPT_NUMBERS, Description

HEADER = "Aperio Image Library v12.0.15 \r\n46000x32914 [0,100 46000x32914] (256x256) JPEG/RGB Q=30"
WORD = st.text("abcXYZ019 .^/-", min_size=1, max_size=20).map(str.strip)


def rewritten(text: str, size: tuple[int, int] = (46000, 32914)) -> str:
    """The description written anew for an image of this size."""
    return Description.parse(text.encode()).anonymized(*size).decode()


def removed(text: str) -> set[str]:
    """The values handed to the proof."""
    return {value.decode() for value in Description.parse(text.encode()).removed_values()}


GENUINE = {
    "AppMag": ["20", "40", "1,25"],
    "MPP": ["0,2520", "0.4990", "0.263175"],
    "StripeWidth": ["2040", "1000"],
    "OriginalWidth": ["46920"],
    "OriginalHeight": ["33014"],
    "Originalheight": ["33014"],
    "Gamma": ["2.2", "1"],
    "DisplayColor": ["0"],
    "Exposure Time": ["8", "45"],
    "Exposure Scale": ["0.000001"],
    "Focus Offset": ["0.000000", "-0.001500"],
    "Filtered": ["5", "3"],
    "CalibrationAverageRed": ["234.5"],
    "CalibrationAverageGreen": ["255"],
    "CalibrationAverageBlue": ["0"],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in KEPT_NUMBERS for value in GENUINE[key]])
def test_numbers_that_say_how_pixels_came_about_are_kept(key: str, value: str) -> None:
    assert rewritten(f"{HEADER}|{key} = {value}").endswith(f"|{key} = {value}")


LONG_NUMBERS = ["19610412", "123456789012", "0.1234567", "123456789012.987654321098", "00000000001", "-4711", "1000000", "+1"]


@pytest.mark.parametrize("key", KEPT_NUMBERS)
@pytest.mark.parametrize("value", LONG_NUMBERS)
def test_a_number_that_makes_no_sense_for_its_key_is_removed(key: str, value: str) -> None:
    assert "|" not in rewritten(f"{HEADER}|{key} = {value}")
    assert value in removed(f"{HEADER}|{key} = {value}")


@pytest.mark.parametrize(
    ("key", "value"), [("AppMag", "4711"), ("Gamma", "19"), ("Filtered", "471"), ("MPP", "196.1"), ("StripeWidth", "2040.5")]
)
def test_each_key_has_its_own_range(key: str, value: str) -> None:
    assert "|" not in rewritten(f"{HEADER}|{key} = {value}")
    assert Description.parse(f"{HEADER}|{key} = {value}".encode()).number(key) is None


def test_of_a_repeated_key_only_the_last_is_kept() -> None:
    text = f"{HEADER}|MPP = 19.61|MPP = 0.4|MPP = 0.25|ICC Profile = AT2|ICC Profile = GT450"
    assert rewritten(text).endswith("Q=30|MPP = 0.25|ICC Profile = GT450")
    assert removed(text) >= {"19.61", "0.4", "AT2"}
    assert Description.parse(text.encode()).number("MPP") == 0.25


def test_a_cut_slide_may_name_its_parents_size_before_its_own() -> None:
    text = f"{HEADER}|OriginalWidth = 1961|OriginalWidth = 46920|Originalheight = 33014|OriginalWidth = 46000|OriginalHeight = 32914"
    assert rewritten(text).endswith("Q=30|OriginalWidth = 46920|Originalheight = 33014|OriginalWidth = 46000|OriginalHeight = 32914")


@pytest.mark.parametrize("key", KEPT_NUMBERS)
@pytest.mark.parametrize("value", ["Hockenberry", "40x", "1.2.3", "12/29/09", "1 2", "", "1" * 13, "0x10", "40;Hockenberry"])
def test_what_is_no_number_is_removed_even_from_a_kept_key(key: str, value: str) -> None:
    text = f"{HEADER}|{key} = {value}"
    assert "|" not in rewritten(text)
    assert value in removed(text)
    assert f"key:{key}" in Description.parse(text.encode()).removed_keys()


IDENTIFYING = [
    "Filename",
    "Title",
    "ImageID",
    "Barcode",
    "Date",
    "Time",
    "User",
    "Rack",
    "Slide",
    "Patient",
    "Accession",
    "Copyright",
    "Parmset",
    "Left",
    "Top",
    "LineAreaXOffset",
    "SessionMode",
    "ScannerType",
    "CustomField.PatientID",
    "appmag",
]


@pytest.mark.parametrize("key", [*IDENTIFYING, "Time Zone", "ScanScope ID", "DSR ID", "Scan Warning"])
def test_keys_that_identify_or_are_unknown_go_even_with_numbers(key: str) -> None:
    text = f"{HEADER}|{key} = 4711"
    assert "4711" not in rewritten(text)
    assert removed(text) >= {"4711"}


@pytest.mark.parametrize("name", sorted(ICC_NAMES))
def test_names_of_classes_of_colour_profiles_are_kept(name: str) -> None:
    assert rewritten(f"{HEADER}|ICC Profile = {name}").endswith(f"|ICC Profile = {name}")


def test_the_name_of_one_scanners_colour_profile_is_removed() -> None:
    assert "SS7311" not in rewritten(f"{HEADER}|ICC Profile = GT450-SS7311")
    assert "GT450-SS7311" in removed(f"{HEADER}|ICC Profile = GT450-SS7311")


def test_software_version_history_and_place_in_the_parent_slide_go() -> None:
    text = "Aperio Image Library v11.2.1 \r\n46000x32914 [42673,5576 2220x2967] (240x240) JPEG/RGB Q=30;Aperio v10 for Drummond|AppMag = 20"
    assert rewritten(text, (2220, 2967)) == "Aperio Image Library\r\n2220x2967 (240x240) JPEG/RGB Q=30|AppMag = 20"
    assert {"Aperio Image Library v11.2.1", "Aperio v10 for Drummond"} <= removed(text)


def test_a_reduced_image_names_the_size_it_was_made_from() -> None:
    text = "Aperio Image Library v11.2.1 \r\n2220x2967 -> 574x768 - ;Aperio Image Library v10.0.51|AppMag = 20"
    assert rewritten(text, (574, 768)) == "Aperio Image Library\r\n2220x2967 -> 574x768|AppMag = 20"


def test_a_reduced_image_of_a_crop_does_not_name_the_size_of_the_parent_slide() -> None:
    text = "Aperio Image Library v11.2.1 \r\n46000x32914 [42673,5576 2220x2967] (240x240) -> 555x741 JPEG/RGB Q=30|AppMag = 20"
    assert rewritten(text, (555, 741)) == "Aperio Image Library\r\n2220x2967 (240x240) -> 555x741 JPEG/RGB Q=30|AppMag = 20"


def test_a_reduced_image_of_a_crop_that_cannot_be_read_names_its_own_size() -> None:
    assert rewritten("Aperio\r\n46000x32914 [somewhere] -> 555x741 -", (555, 741)) == "Aperio Image Library\r\n555x741 -> 555x741"


@pytest.mark.parametrize("header", ["Aperio", "Aperio v12", "Aperio\r\n", "Aperio\r\nnobody knows", "", "Aperio\nHockenberry 12x"])
def test_a_header_without_geometry_becomes_one_of_the_images_own_size(header: str) -> None:
    assert rewritten(f"{header}|AppMag = 40", (30, 20)) == "Aperio Image Library\r\n30x20|AppMag = 40"


def test_values_may_hold_equal_signs_be_empty_or_missing() -> None:
    parsed = Description.parse(f"{HEADER}|Title = a = b|Empty =|Missing||AppMag=20".encode())
    assert parsed.pairs == (("Title", "a = b"), ("Empty", ""), ("Missing", ""), ("", ""), ("AppMag", "20"))


@pytest.mark.parametrize(
    ("value", "number"), [("0,2520", 0.252), ("0.4990", 0.499), ("40", 40.0), ("-1", None), ("forty", None), ("", None)]
)
def test_numbers_are_read_with_point_or_comma(value: str, number: float | None) -> None:
    assert Description.parse(f"{HEADER}|MPP = {value}".encode()).number("MPP") == number


def test_a_missing_number_is_none() -> None:
    assert Description.parse(HEADER.encode()).number("MPP") is None


def test_only_names_of_keys_that_scanners_write_are_told() -> None:
    keys = ["Müller 1950-01-02", "Jane Mirabella", "CustomField.Last_Name", "K" * 50, "user"]
    parsed = Description.parse("|".join([HEADER, "User = x", *(f"{key} = x" for key in keys), "Featherstone"]).encode())
    assert parsed.removed_keys() == ("key:User", *["key:(unusual)"] * 6)
    assert {*keys, "Last_Name", "Featherstone"} <= {value.decode() for value in parsed.removed_values()}


def test_every_line_of_the_header_is_handed_to_the_proof() -> None:
    assert {"Aperio v12", "Hockenberry 12x", "third line"} <= removed("Aperio v12\nHockenberry 12x\nthird line|AppMag = 40")


def test_a_removed_latin_1_value_is_handed_to_the_proof_as_the_text_it_is() -> None:
    parsed = Description.parse(f"{HEADER}|Title = Müller".encode("latin-1"))
    assert "Müller".encode() in parsed.removed_values()


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(WORD, WORD), max_size=6), WORD)
def test_no_value_of_an_unknown_key_comes_through_and_all_are_searched(pairs: list[tuple[str, str]], history: str) -> None:
    text = f"{HEADER};by {history}" + "".join(f"|x{key} = {value}" for key, value in pairs)
    assert rewritten(text) == "Aperio Image Library\r\n46000x32914 (256x256) JPEG/RGB Q=30"
    values = Description.parse(text.encode()).pairs
    assert {value for _, value in values} | {f"by {history}".strip()} <= removed(text)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_can_be_read_and_come_out_as_harmless_text(text: bytes) -> None:
    parsed = Description.parse(text)
    new = parsed.anonymized(30, 20)
    head, *pairs = new.decode("ascii").split("|")
    assert head.startswith("Aperio Image Library\r\n")
    assert all(pair.partition(" = ")[0] in (*KEPT_NUMBERS, "ICC Profile") for pair in pairs)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.lists(st.tuples(st.sampled_from([*KEPT_NUMBERS, "User"]), st.text(max_size=12)), max_size=5))
def test_writing_anew_what_was_written_anew_changes_nothing(header: str, pairs: list[tuple[str, str]]) -> None:
    once = rewritten(header + "".join(f"|{key} = {value}" for key, value in pairs), (30, 20))
    assert rewritten(once, (30, 20)) == once
