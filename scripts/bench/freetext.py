"""Free text: recall by kind of identifier, words masked that should have stayed, and notes a second.

.venv/bin/python scripts/bench/freetext.py --notes notes.jsonl --queries synthetic_clinical_queries.txt

Notes come with their patients' records: identifiers in the record must all be found. They are reported in two halves: the rules were
written with the first in view, the second was held out. Queries have no record: forms and cues alone.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from slidekeeper.steps.records.freetext.scrubber import Scrubber
from slidekeeper.steps.records.freetext.spans import Span

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from steps.records.freetext.notes import Note, read_notes

NEUTRAL = frozenset({"dr", "mr", "mrs", "ms", "patient", "id", "mrn", "site", "medicare", "case", "no", "number", "the", "of", "at", "in"})
"""Words within a tagged value that tell nothing and may stay."""
BUILT_ON = 1500
WORD = re.compile(r"\w+")


@dataclass(slots=True)
class Figures:
    """What was counted."""

    there: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    words: int = 0
    words_masked: int = 0

    def print(self, title: str) -> None:
        """One line a kind, then what was masked in vain."""
        print(title)
        for kind, there in sorted(self.there.items()):
            print(f"  {kind:32} {self.found[kind]:6,} of {there:6,}   {self.found[kind] / there:.4f}")
        print(f"  words masked in vain             {self.words_masked:6,} of {self.words:6,}   {self.words_masked / self.words:.4f}\n")


def positions(spans: Iterable[tuple[int, int]]) -> set[int]:
    """All characters within spans."""
    return {position for start, end in spans for position in range(start, end)}


def count_words(figures: Figures, text: str, identifying: set[int], masked: set[int]) -> None:
    """Count the words outside all identifiers, and how many of them were masked at least in part."""
    for match in WORD.finditer(text):
        within = range(*match.span())
        if identifying.isdisjoint(within):
            figures.words += 1
            figures.words_masked += not masked.isdisjoint(within)


def measure_notes(path: Path) -> None:
    """Recall with records, by half."""
    notes = read_notes(path)
    scrubber = Scrubber([each for note in notes for each in note.known])
    for title, half in (("built on", notes[:BUILT_ON]), ("held out", notes[BUILT_ON:])):
        figures = Figures()
        for note in half:
            count_note(figures, note, scrubber.find(note.text, note.known))
        figures.print(f"notes {title} ({len(half):,})")
        started = time.process_time()
        for note in half:
            scrubber.scrub(note.text, note.known)
        print(f"  {len(half) / (time.process_time() - started):,.0f} notes a second of one core\n")


def count_note(figures: Figures, note: Note, found: list[Span]) -> None:
    """A place counts as found when every character of it is masked; under its kind and under all, with or without a record of it."""
    masked = positions((span.start, span.end) for span in found)
    for place in note.places:
        for kind in (place.kind, "all"):
            name = f"{kind} {'in record' if place.recorded else 'unknown'}"
            figures.there[name] += 1
            figures.found[name] += masked.issuperset(range(place.start, place.end))
    count_words(figures, note.text, positions((place.start, place.end) for place in note.places), masked)


def measure_queries(path: Path) -> None:
    """Recall without records; every other entry was looked at while rules were written."""
    entries = path.read_text().split("===QUERY===")[1:]
    scrubber = Scrubber([])
    for title, half in (("looked at", slice(0, None, 2)), ("not looked at", slice(1, None, 2))):
        figures = Figures()
        for entry in entries[half]:
            count_query(figures, entry, scrubber)
        figures.print(f"queries without records, {title} ({len(entries[half]):,})")


def count_query(figures: Figures, entry: str, scrubber: Scrubber) -> None:
    """Count one query's tagged values, under their kind and under all."""
    text, _, tags = entry.partition("===PHI_TAGS===")
    values = [(tag["identifier_type"], tag["value"]) for tag in map(json.loads, filter(str.strip, tags.strip().splitlines()))]
    masked = positions((span.start, span.end) for span in scrubber.find(text, []))
    identifying: set[int] = set()
    for kind, value in values:
        for name in (kind, "all"):
            figures.there[name] += 1
            figures.found[name] += is_masked(text, value, masked)
        identifying |= positions(match.span() for match in re.finditer(re.escape(value), text))
    count_words(figures, text, identifying, masked)


def is_masked(text: str, value: str, masked: set[int]) -> bool:
    """Whether every telling word of a value is masked wherever the value stands."""
    starts = [match.start() for match in re.finditer(re.escape(value), text)]
    words = [match.span() for match in WORD.finditer(value) if match.group().lower() not in NEUTRAL]
    return bool(starts) and all(masked.issuperset(range(start + one, start + other)) for start in starts for one, other in words)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=Path)
    parser.add_argument("--queries", type=Path)
    options = parser.parse_args()
    if options.notes:
        measure_notes(options.notes)
    if options.queries:
        measure_queries(options.queries)
