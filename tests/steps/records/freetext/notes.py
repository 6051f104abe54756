"""Synthetic pathology notes with their patients' records, and where the records' values stand in the notes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slidekeeper.model.contract import Identifies
from slidekeeper.steps.records.freetext.identifiers import KnownIdentifier
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
"""By the first word of a record's column; what is not listed is a number."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an identifier stands in a note's prepared text; blanks around it identify nobody."""

    start: int
    end: int
    kind: str
    recorded: bool
    """Whether the patient's record knows it."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note."""

    id: str
    text: str
    """As it is scrubbed (NFC)."""
    known: tuple[KnownIdentifier, ...]
    """What the patient's record says."""
    places: tuple[Place, ...]


def read_notes(path: Path) -> list[Note]:
    """All notes of a file with one JSON document a line."""
    return [_note(json.loads(line)) for line in path.read_text().splitlines()]


def _note(raw: dict[str, Any]) -> Note:
    known = (KnownIdentifier.of(KINDS.get(column.partition("_")[0], Identifies.ID), value) for column, value in raw["rec"].items())
    return Note(raw["id"], prepared(raw["text"]), tuple(known), tuple(_places(raw["text"], raw["spans"])))


def _places(text: str, spans: list[tuple[int, int, str, bool]]) -> Iterator[Place]:
    for start, end, kind, recorded in spans:
        yield Place(len(prepared(text[:start])), len(prepared(text[:end].rstrip())), kind, bool(recorded))
