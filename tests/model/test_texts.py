"""What a person could read in removed bytes is found, packed or spelled in whatever way, and cut into what can be searched."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.model.texts import is_text, readable_in, text_lines

NAME = st.text("abcXYZ019 .^-", min_size=4, max_size=60).map(str.strip).filter(lambda text: is_text(text.encode()))


@settings(max_examples=100, deadline=None)
@given(NAME)
def test_base64_of_a_text_is_unpacked(name: str) -> None:
    coded = b64encode(name.encode())
    assert {coded, name.encode()} <= set(text_lines(coded)) | {coded[:200]}
    assert name.encode() in text_lines(b"Barcode=" + coded + b";")


def test_lines_of_a_packed_text_are_searched_by_themselves() -> None:
    assert {b"Featherstone", b"ward seven"} <= set(text_lines(b64encode(b"Featherstone\r\nward seven")))


@pytest.mark.parametrize("word", [b"Featherstone", b"AAAAAAAA", b"Mirabell", b"a/path/to/something1234"])
def test_words_that_are_base64_of_nothing_readable_stay_words(word: bytes) -> None:
    assert text_lines(word) == [word]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_can_be_looked_at(value: bytes) -> None:
    assert all(is_text(text) for text in readable_in(value))
