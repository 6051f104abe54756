"""Makes the scrubber of one batch: it knows every identifier of every patient, whichever file tells it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import TIMES, Action, Column, Contract, Domain, Identifies
from slidekeeper.ports.names import NamesModel
from slidekeeper.ports.tables import LINE
from slidekeeper.steps.records.freetext.identifiers import KnownIdentifier
from slidekeeper.steps.records.freetext.sampling import sample_for_review
from slidekeeper.steps.records.freetext.scrubber import Scrubber
from slidekeeper.steps.records.transform import Scrub

UNTOLD = frozenset({Identifies.NOT, Identifies.AGE, Identifies.FREE_TEXT})
"""Columns that tell nothing by which a text could be searched."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A scrubbed text that a person reads before its batch is released."""

    source: str
    column: str
    text: Concealed[str]


def scrubs(contracts: Sequence[Contract]) -> bool:
    """Whether any free text is to come out."""
    return any(column.action is Action.SCRUB for contract in contracts for column in contract.columns)


def scrubber_of(parts: Sequence[tuple[Contract, pl.DataFrame]], model: NamesModel | None) -> Scrub:
    """A scrubber that knows all rows of a batch, canaries included."""
    known: defaultdict[str, list[KnownIdentifier]] = defaultdict(list)
    for contract, rows in parts:
        for patient, identifier in _told(contract, rows):
            known[patient].append(identifier)
    scrubber = Scrubber((identifier for told in known.values() for identifier in told), model)

    def scrub(texts: pl.Series, patients: pl.Series | None) -> pl.Series:
        return scrubber.scrub_series(texts, patients, known)

    return scrub


def sampled(contract: Contract, outgoing: pl.DataFrame, share: float, seed: int) -> Iterator[Sample]:
    """A random share of the scrubbed texts of one source."""
    for column in contract.columns:
        if column.action is Action.SCRUB:
            texts = outgoing[column.output_name].drop_nulls()
            for index in sample_for_review(len(texts), share, seed):
                yield Sample(contract.source, column.output_name, Concealed(texts[index]))


def _told(contract: Contract, rows: pl.DataFrame) -> Iterator[tuple[str, KnownIdentifier]]:
    """What the rows of one source tell of each patient."""
    patient = contract.of_domain(Domain.PATIENT)
    for column in contract.columns:
        told = rows.select(LINE, who=pl.col(patient.name) if patient else pl.lit(""), what=pl.col(column.name)).drop_nulls()
        if column.action is Action.SCRUB:
            # A canary's text begins with its name, which no other column of its source need have.
            for who, text in told.filter(pl.col(LINE) < 0).select("who", "what").iter_rows():
                yield who, KnownIdentifier.of(Identifies.NAME, text.partition(" ")[0])
        elif column.identifies not in UNTOLD:
            for who, value in told.select("who", "what").unique().iter_rows():
                yield who, KnownIdentifier.of(column.identifies, _readable(column, value))


def _readable(column: Column, value: str) -> str:
    """Dates in the one spelling that cannot be misread; everything else as it stands."""
    return datetime.strptime(value, column.format).date().isoformat() if column.type in TIMES else value
