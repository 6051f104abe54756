"""A clinical identifier never shows by accident: not in text, logs, tracebacks or errors."""

from __future__ import annotations

import json
import logging
import pickle
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.identity import BatchId, PackId
from slidekeeper.model.phi import Barcode, FileIdentity, Member, PackFiles, RelativePath, Role
from slidekeeper.model.splice import Secret

NAME = "S26-4711;Abernathy"
PATH = f"session-Abernathy/{NAME}.svs".encode()

BARCODE = Barcode(NAME)
IMAGE = Member(RelativePath(PATH), Role.IMAGE, FileIdentity(10, 1, 2))
TEXT = Member(RelativePath(b"session-Abernathy/notes.txt"), Role.BARCODE, FileIdentity(3, 1, 2))
PACK = PackFiles(PackId("a" * 16), "scanner", BatchId("b" * 12), RelativePath(NAME.encode()), BARCODE, (IMAGE, TEXT))

HOLDERS: list[object] = [BARCODE, RelativePath(PATH), Secret(PATH), Concealed(NAME), IMAGE, PACK, [BARCODE], {"barcode": BARCODE}]
WAYS: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "format": format,
    "f-string": lambda value: f"{value}",
    "f-string with repr": lambda value: f"{value!r}",
    "percent": lambda value: "%s %r" % (value, value),  # noqa: UP031 - what logging does
    "str.format": lambda value: "{} {!r} {!s}".format(value, value, value),  # noqa: UP032 - what logging does
    "json with str": lambda value: json.dumps([value], default=str),
}


def shows(text: str) -> bool:
    """Whether anything of the identifier is in a text."""
    return "Abernathy" in text or "4711" in text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_no_text_made_of_an_identifier_shows_it(holder: object, way: str) -> None:
    assert not shows(WAYS[way](holder))


def test_a_width_in_a_format_is_no_way_around() -> None:
    assert f"{BARCODE:>40}" == "<Barcode>"


def test_an_identifier_in_an_error_does_not_show_in_its_traceback() -> None:
    try:
        raise ValueError("cannot take", BARCODE, PACK)
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "cannot take" in shown
    assert not shows(shown.replace(__file__, ""))


def test_a_log_line_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        logging.getLogger("slidekeeper.test").info("settled %s of %r", PACK, BARCODE)
    assert "settled" in caplog.text
    assert not shows(caplog.text)


def test_the_value_cannot_be_replaced() -> None:
    with pytest.raises(AttributeError):
        BARCODE._value = "other"  # type: ignore[misc]
    assert BARCODE.reveal() == NAME


def test_only_revealing_gives_the_value() -> None:
    assert (BARCODE.reveal(), IMAGE.path.reveal()) == (NAME, PATH)


@given(st.text(), st.binary())
def test_an_identifier_reaches_a_worker_process_whole(text: str, path: bytes) -> None:
    barcode, relative = pickle.loads(pickle.dumps((Barcode(text), RelativePath(path))))
    assert (barcode, relative) == (Barcode(text), RelativePath(path))
    assert (barcode.reveal(), relative.reveal()) == (text, path)


def test_an_unpickled_identifier_hides_itself_too() -> None:
    assert repr(pickle.loads(pickle.dumps(BARCODE))) == "<Barcode>"


def test_equal_values_of_other_kinds_are_not_taken_for_each_other() -> None:
    assert RelativePath(b"x") != Secret(b"x")
    assert len({RelativePath(b"x"), RelativePath(b"x"), Secret(b"x")}) == 2


def test_a_pack_knows_its_images_and_its_size() -> None:
    assert (PACK.images, PACK.size) == ((IMAGE,), 13)
