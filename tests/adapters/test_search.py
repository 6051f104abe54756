"""Whatever encoding a secret survived in and wherever the stream is cut, the search finds it, and chance does not."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.search.hyperscan_search import SLICE_BYTES, HyperscanFactory, slices, spellings, without_longer
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.splice import Content

NAME = 'Jürgensen-Groß & "Söhne"'
XML = NAME.replace("&", "&amp;").replace('"', "&quot;")
ENCODED = {
    "utf-8": NAME.encode(),
    "latin-1": NAME.encode("latin-1"),
    "utf-16-le": NAME.encode("utf-16-le"),
    "utf-16-be": NAME.encode("utf-16-be"),
    "xml": XML.encode(),
    "base64": b64encode(NAME.encode()),
    "base64, one byte before": b64encode(b"x" + NAME.encode() + b"yz"),
    "base64, two bytes before": b64encode(b"xy" + NAME.encode() + b"z"),
}
STRUCTURE, CODED = Content.STRUCTURE, Content.CODED


def hits(data: bytes, *, texts: Sequence[bytes] = (), windows: Sequence[bytes] = (), content: Content = STRUCTURE, cut: int = 0) -> int:
    """Search ``data`` in one span, or in two with a border at ``cut``."""
    search = HyperscanFactory()([Concealed(text) for text in texts], [Concealed(window) for window in windows])
    for span in (data[:cut], data[cut:]):
        search.feed(memoryview(span), content)
    return search.hits()


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_text_is_found_in_every_encoding_in_coded_pixels_too(encoding: str) -> None:
    data = bytes(100) + ENCODED[encoding] + bytes(100)
    assert hits(data, texts=[NAME.encode()], content=CODED)


@pytest.mark.parametrize("encoding", ENCODED)
def test_a_text_is_found_wherever_a_chunk_ends_within_it(encoding: str) -> None:
    data = b"....." + ENCODED[encoding] + b"....."
    assert all(hits(data, texts=[NAME.encode()], cut=cut) for cut in range(0, len(data), 3))


def test_a_text_fed_byte_by_byte_is_found() -> None:
    search = HyperscanFactory()([Concealed(NAME.encode())], [])
    for byte in ENCODED["utf-16-be"]:
        search.feed(memoryview(bytes([byte])), STRUCTURE)
    assert search.hits()


def test_a_text_across_the_border_of_structure_and_pixels_is_found() -> None:
    search = HyperscanFactory()([Concealed(b"MRN-1234567")], [])
    search.feed(memoryview(b"...MRN-1"), STRUCTURE)
    search.feed(memoryview(b"234567..."), CODED)
    assert search.hits()


@pytest.mark.parametrize("found", [b"ABERNATHY", b"abernathy", b"aBeRnAtHy", "ABERNATHY".encode("utf-16-le")])
def test_the_case_of_a_text_does_not_matter(found: bytes) -> None:
    assert hits(found, texts=[b"Abernathy"])


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16-le"])
def test_the_case_of_letters_beyond_ascii_does_not_matter_either(encoding: str) -> None:
    assert hits("MÜLLER-LÜDENSCHEIDT".encode(encoding), texts=["Müller-Lüdenscheidt".encode()])


@pytest.mark.parametrize("found", ["müller-lüdenscheidt", "MÜLLER-LÜDENSCHEIDT", "Müller-lüdenscheidt"])
@pytest.mark.parametrize("removed", ["Müller-Lüdenscheidt", "MÜLLER-LÜDENSCHEIDT", "müller-lüdenscheidt"])
def test_upper_and_lower_case_find_each_other(removed: str, found: str) -> None:
    assert hits(found.encode(), texts=[removed.encode()])


def test_ascii_needs_no_second_spelling_for_its_case() -> None:
    assert len(spellings(b"Abernathy")) == len(spellings(b"ABERNATHY")) == 6


def test_a_window_is_found_as_it_is_and_only_so() -> None:
    window = bytes(range(60, 84))
    assert hits(b"..." + window + b"...", windows=[window], content=CODED, cut=10)
    assert not hits(window.swapcase(), windows=[window], content=CODED)


def test_zero_bytes_in_a_pattern_do_not_end_it() -> None:
    window = b"\0ab\0\0cd\0efghijklmnop\0\0xy\0"
    assert hits(bytes(7) + window, windows=[window])
    assert not hits(window[:-2] + b"..", windows=[window])


def test_special_characters_of_regular_expressions_mean_themselves() -> None:
    text = b".*[a-z]+(x|y)?\\d{3}^$"
    assert hits(b"--" + text + b"--", texts=[text])
    assert not hits(b"any other text, abcxyz123", texts=[text])


def test_a_short_text_is_searched_in_structure() -> None:
    assert hits(b"S26-1", texts=[b"S26-1"], content=STRUCTURE)


def test_a_short_text_is_not_searched_in_coded_pixels() -> None:
    assert not hits(b"S26-1", texts=[b"S26-1"], content=CODED)


def test_a_text_of_seven_bytes_is_searched_in_coded_pixels() -> None:
    assert hits(b"S26-123", texts=[b"S26-123"], content=CODED)


def test_a_short_texts_wide_spelling_is_searched_in_coded_pixels() -> None:
    assert hits("S26-1".encode("utf-16-le"), texts=[b"S26-1"], content=CODED)


@pytest.mark.parametrize("text", [b"", b"a", b"Mr.", "äöü".encode()])
def test_a_text_of_fewer_than_four_characters_identifies_nobody(text: bytes) -> None:
    assert not hits(text * 3, texts=[text])


def test_a_search_for_nothing_finds_nothing() -> None:
    assert not hits(b"anything")


def test_a_text_that_is_no_utf_8_is_searched_as_it_is() -> None:
    assert hits(b"..\xff\xfeName\x80..", texts=[b"\xff\xfeName\x80"])


def test_each_pattern_counts_once_however_often_it_occurs() -> None:
    first, second = bytes(range(30, 54)), bytes(range(100, 124))
    assert hits((first + second) * 5, windows=[first, second], content=CODED) == 2


def test_random_bytes_raise_no_alarm() -> None:
    random = Random(1)
    texts = [f"{random.choice('ABCDEFG')}{random.randrange(10**6):06d}".encode() for _ in range(60)]
    windows = [random.randbytes(24) for _ in range(48)]
    assert hits(random.randbytes(16 * 1024 * 1024), texts=texts, windows=windows, content=CODED, cut=1000) == 0


@given(st.text(min_size=4, max_size=30), st.binary(max_size=40), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_any_text_is_found_in_any_spelling_and_cut(text: str, before: bytes, cut: int) -> None:
    for spelling in (text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be")):
        assert hits(before + spelling + before, texts=[text.encode()], cut=cut)


@given(st.binary(min_size=15, max_size=40), st.binary(max_size=20), st.binary(max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_long_value_is_found_in_base64_at_any_alignment(value: bytes, before: bytes, after: bytes) -> None:
    assert hits(b64encode(before + value + after), texts=[value])


@given(st.binary(min_size=24, max_size=24), st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_a_window_is_found_if_and_only_if_it_is_there(window: bytes, data: bytes) -> None:
    assert bool(hits(data, windows=[window], content=CODED)) == (window in data)
    assert hits(data + window, windows=[window], content=CODED, cut=len(data) + 12)


@given(st.text(max_size=20))
@settings(max_examples=60, deadline=None)
def test_no_spelling_is_shorter_than_four_bytes(text: str) -> None:
    assert all(len(spelling) >= 4 for spelling in spellings(text.encode()))


@given(st.text(min_size=9, max_size=20), st.text(max_size=12), st.text(max_size=12), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_a_text_within_a_longer_one_is_searched_for_both(text: str, before: str, after: str, shift: int) -> None:
    longer = before + text + after
    assert without_longer([longer.encode(), text.encode()]) == [text.encode()]
    data = [longer.encode(), longer.encode("utf-16-be"), b64encode(bytes(shift) + longer.encode())]
    assert all(hits(spelling, texts=[text.encode(), longer.encode()], content=CODED) for spelling in data)


def test_a_short_text_within_a_longer_one_does_not_stand_for_it() -> None:
    assert without_longer([b"op.7", b"op.7 of ward seven"]) == [b"op.7", b"op.7 of ward seven"]


@pytest.mark.parametrize("length", [3000, 20_000])
def test_a_very_long_text_is_found_too(length: int) -> None:
    text = Random(2).randbytes(length).hex().encode()[:length]
    assert hits(b"..." + text + b"...", texts=[text], cut=50)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_any_full_slice_of_a_very_long_text_is_found(encoding: str) -> None:
    text = Random(2).randbytes(1750).hex()
    coded = text.encode(encoding)
    for start in (0, SLICE_BYTES, len(coded) - SLICE_BYTES):
        assert hits(b"..." + coded[start : start + SLICE_BYTES] + b"...", texts=[text.encode()], content=CODED)


def test_the_padding_of_a_long_text_is_not_taken_for_the_text() -> None:
    text = b"Doe, Jane" + b" " * 3000 + bytes(3000)
    assert not hits(b" " * 5000 + bytes(5000) + (" " * 3000).encode("utf-16-le"), texts=[text])
    assert hits(text, texts=[text])


def test_slices_of_a_long_spelling_leave_no_gap() -> None:
    spelling = Random(3).randbytes(2 * SLICE_BYTES + 10)
    assert list(slices(spelling)) == [spelling[:SLICE_BYTES], spelling[SLICE_BYTES : 2 * SLICE_BYTES], spelling[-SLICE_BYTES:]]
    assert list(slices(spelling[:SLICE_BYTES])) == [spelling[:SLICE_BYTES]]


def test_a_hundred_texts_and_windows_are_searched_at_once() -> None:
    texts = [f"value number {number}".encode() for number in range(100, 200)]
    windows = [Random(number).randbytes(24) for number in range(100)]
    assert hits(texts[57] + windows[93], texts=texts, windows=windows) >= 2
