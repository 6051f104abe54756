"""Scrubbing: the three layers put together, repeated until nothing more can be found, so that scrubbing twice changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from slidekeeper.model.contract import Identifies
from slidekeeper.ports.names import NamesModel
from slidekeeper.steps.records.freetext.cues import cued_spans
from slidekeeper.steps.records.freetext.dates import dates
from slidekeeper.steps.records.freetext.document import Dictionary, read
from slidekeeper.steps.records.freetext.identifiers import KnownIdentifier
from slidekeeper.steps.records.freetext.known import Known, known_from
from slidekeeper.steps.records.freetext.known_in_text import batch_spans, patient_spans
from slidekeeper.steps.records.freetext.labels import labelled_spans
from slidekeeper.steps.records.freetext.patterns import pattern_spans
from slidekeeper.steps.records.freetext.spans import Mask, Span, outside_marks, replaced, stand_apart, united
from slidekeeper.steps.records.freetext.spelling import prepared
from slidekeeper.steps.records.freetext.vocabulary import shipped

OF_OTHERS = frozenset({Identifies.NAME, Identifies.FILE_NAME, Identifies.ID, Identifies.PHONE, Identifies.EMAIL, Identifies.ADDRESS})
"""What is masked in everybody's text; another patient's dates identify nobody there."""
SHORTEST_OF_OTHERS = 6
"""Characters of another patient's number; shorter ones would be found in every text."""
MOST_ROUNDS = 8
"""A mark can make what stands beside it recognizable; every round leaves less."""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A text without what was recognized in it."""

    text: str = field(repr=False)
    counts: Mapping[str, int]
    """Marks put in, by kind: ``{"NAME": 2, "DATE": 1}``."""


class Scrubber:
    """Scrubs the texts of one batch; picklable, for one process at a time."""

    def __init__(self, batch: Iterable[KnownIdentifier], names_model: NamesModel | None = None) -> None:
        """Make ready what is known of the whole batch: its patients and its pathologists. Reads the word lists."""
        self._vocabulary = shipped()
        self._batch = known_from((each for each in batch if each.kind in OF_OTHERS), self._vocabulary)
        self._batch.numbers = {number: mask for number, mask in self._batch.numbers.items() if len(number) >= SHORTEST_OF_OTHERS}
        self._dictionary = Dictionary(self._vocabulary)
        self._model = names_model

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def scrub(self, text: str, patient: Sequence[KnownIdentifier]) -> Scrubbed:
        """Put marks for everything recognized: what is known of the patient, always; of others and by form, with judgement."""
        return self._scrub(text, known_from(patient, self._vocabulary))

    def find(self, text: str, patient: Sequence[KnownIdentifier]) -> list[Span]:
        """What the first round would mark in a text that is already prepared (NFC); for measuring."""
        return self._find(text, known_from(patient, self._vocabulary))

    def scrub_series(self, texts: pl.Series, patients: pl.Series | None, known: Mapping[str, Sequence[KnownIdentifier]]) -> pl.Series:
        """Scrub a column.

        Args:
            texts: String; nulls stay.
            patients: as many keys into ``known``, or None where no column names the patient.
            known: what is known of each patient; one who is not in it has the batch's protection only.
        """
        keys = patients.to_list() if patients is not None else [None] * len(texts)
        ready: dict[object, Known] = {}
        scrubbed: list[str | None] = []
        for text, key in zip(texts.to_list(), keys, strict=True):
            if key not in ready:
                ready[key] = known_from(known.get(key, ()) if key is not None else (), self._vocabulary)
            scrubbed.append(None if text is None else self._scrub(text, ready[key]).text)
        return pl.Series(texts.name, scrubbed, dtype=pl.String)

    def _scrub(self, text: str, known: Known) -> Scrubbed:
        text, counts = prepared(text), Counter[str]()
        for _ in range(MOST_ROUNDS):
            spans = self._find(text, known)
            if not spans:
                break
            counts.update(span.mask.value for span in spans)
            done, text = stand_apart(text, spans), replaced(text, spans)
            if done:
                break
        return Scrubbed(text, dict(counts))

    def _find(self, text: str, known: Known) -> list[Span]:
        document = read(text, self._dictionary)
        spans = [*patient_spans(document, known), *batch_spans(document, self._batch)]
        spans += (*pattern_spans(text), *labelled_spans(document), *dates(document), *cued_spans(document))
        if self._model is not None:
            spans += (Span(start, end, Mask.NAME) for start, end in self._model.names([text])[0])
        return outside_marks(text, united(text, spans))
