"""Recall on synthetic pathology notes with their records: everything the record knows is masked."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from shared_data import shared
from slidekeeper.model.contract import Identifies
from slidekeeper.steps.records.freetext.identifiers import KnownIdentifier
from slidekeeper.steps.records.freetext.scrubber import Scrubber
from slidekeeper.steps.records.freetext.spelling import prepared

KINDS = {
    "name": Identifies.NAME,
    "pathologist": Identifies.NAME,
    "dob": Identifies.BIRTH_DATE,
    "collected": Identifies.DATE,
    "received": Identifies.DATE,
    "signed": Identifies.DATE,
    "street": Identifies.ADDRESS,
    "city": Identifies.ADDRESS,
    "zip": Identifies.ZIP,
    "phone": Identifies.PHONE,
    "email": Identifies.EMAIL,
}
Note = dict[str, Any]


def known(note: Note) -> list[KnownIdentifier]:
    """The note's record; what is not listed above is a number."""
    return [KnownIdentifier.of(KINDS.get(column.partition("_")[0], Identifies.ID), value) for column, value in note["rec"].items()]


@pytest.fixture(scope="module")
def notes() -> list[Note]:
    return [json.loads(line) for line in shared("records", "path-notes-synth", "notes.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def scrubber(notes: list[Note]) -> Scrubber:
    return Scrubber([each for note in notes for each in known(note)])


def test_nothing_that_the_records_know_is_left_in_their_notes(notes: list[Note], scrubber: Scrubber) -> None:
    assert len(notes) == 3000
    assert [note["id"] for note in notes if not is_covered(note, scrubber)] == []
    assert [note["id"] for note in notes if left_over(note, scrubber)] == []


def known_spans(note: Note) -> list[tuple[int, int]]:
    """Where the prepared text has identifiers of the record; blanks around them identify nobody."""
    text: str = note["text"]
    surfaces = ((start, text[start:end]) for start, end, _, recorded in note["spans"] if recorded)
    return [(len(prepared(text[:start])), len(prepared(text[:start] + surface.rstrip()))) for start, surface in surfaces]


def is_covered(note: Note, scrubber: Scrubber) -> bool:
    """Whether every character of every known identifier is masked."""
    found = scrubber.find(prepared(note["text"]), known(note))
    return all(any(span.start <= start and end <= span.end for span in found) for start, end in known_spans(note))


def left_over(note: Note, scrubber: Scrubber) -> list[str]:
    """Known identifiers, as the note spells them, that can still be read as words of their own."""
    text = prepared(note["text"])
    scrubbed = scrubber.scrub(text, known(note)).text
    return [text[start:end] for start, end in known_spans(note) if re.search(rf"(?<!\w){re.escape(text[start:end])}(?!\w)", scrubbed)]
