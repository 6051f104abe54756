"""Recall on synthetic pathology notes with their records: everything the record knows is masked."""

from __future__ import annotations

import re

import pytest

from shared_data import shared
from slidekeeper.steps.records.freetext.scrubber import Scrubber
from steps.records.freetext.notes import Note, Place, read_notes


@pytest.fixture(scope="module")
def notes() -> list[Note]:
    return read_notes(shared("records", "path-notes-synth", "notes.jsonl"))


@pytest.fixture(scope="module")
def scrubber(notes: list[Note]) -> Scrubber:
    return Scrubber([each for note in notes for each in note.known])


@pytest.mark.no_cover  # thousands of texts through code that other tests cover; counting its lines takes as long as running them
def test_nothing_that_the_records_know_is_left_in_their_notes(notes: list[Note], scrubber: Scrubber) -> None:
    assert len(notes) == 3000
    assert [note.id for note in notes if not is_covered(note, scrubber)] == []
    assert [note.id for note in notes if left_over(note, scrubber)] == []


def known_places(note: Note) -> list[Place]:
    """Where identifiers of the record stand."""
    return [place for place in note.places if place.recorded]


def is_covered(note: Note, scrubber: Scrubber) -> bool:
    """Whether every character of every known identifier is masked."""
    found = scrubber.find(note.text, note.known)
    return all(any(span.start <= place.start and place.end <= span.end for span in found) for place in known_places(note))


def left_over(note: Note, scrubber: Scrubber) -> list[str]:
    """Known identifiers, as the note spells them, that can still be read as words of their own."""
    scrubbed = scrubber.scrub(note.text, note.known).text
    surfaces = [note.text[place.start : place.end] for place in known_places(note)]
    return [surface for surface in surfaces if re.search(rf"(?<!\w){re.escape(surface)}(?!\w)", scrubbed)]
