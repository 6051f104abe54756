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


def test_every_character_of_every_known_identifier_is_masked(notes: list[Note], scrubber: Scrubber) -> None:
    missed = [note["id"] for note in notes if not is_covered(note, scrubber)]
    assert len(notes) == 3000
    assert missed == []


def is_covered(note: Note, scrubber: Scrubber) -> bool:
    found = scrubber.find(note["text"], known(note))
    spans = [(start, end) for start, end, _, recorded in note["spans"] if recorded]
    return all(any(span.start <= start and end <= span.end for span in found) for start, end in spans)


def test_no_known_identifier_is_left_in_the_text(notes: list[Note], scrubber: Scrubber) -> None:
    left = [note["id"] for note in notes if holds_a_known_one(scrubber.scrub(note["text"], known(note)).text, note)]
    assert left == []


def holds_a_known_one(scrubbed: str, note: Note) -> bool:
    surfaces = {note["text"][start:end] for start, end, _, recorded in note["spans"] if recorded}
    return any(re.search(rf"(?<!\w){re.escape(surface)}(?!\w)", scrubbed) for surface in surfaces)
