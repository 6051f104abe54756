"""What the linking table answered for a batch. Columns, not dictionaries: a million answers go to a worker and into a table at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import polars as pl

from slidekeeper.model.contract import Domain

if TYPE_CHECKING:
    from slidekeeper.steps.records.canaries import CanaryValues

Kind: TypeAlias = type[pl.String] | type[pl.Int64]


@dataclass(frozen=True, slots=True, repr=False)
class Answers:
    """What stands for each of some values, place by place; no value comes twice."""

    asked: pl.Series
    """String."""
    answered: pl.Series
    """String or Int64, none null."""

    def __repr__(self) -> str:
        return f"<{len(self.asked)} answers>"

    @classmethod
    def of(cls, table: Mapping[str, str] | Mapping[str, int], kind: Kind) -> Answers:
        """Those of a dictionary."""
        return cls(pl.Series(list(table.keys()), dtype=pl.String), pl.Series(list(table.values()), dtype=kind))

    def to(self, cells: pl.Series) -> pl.Series:
        """The answer to each cell; null where there is none."""
        return cells.replace_strict(self.asked, self.answered, default=None, return_dtype=self.answered.dtype)

    def __or__(self, others: Answers) -> Answers:
        return Answers(pl.concat([self.asked, others.asked]), pl.concat([self.answered, others.answered]))


NO_NUMBERS: Mapping[str, str] = {}
NO_OFFSETS: Mapping[str, int] = {}


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The numbers and offsets of everybody in a batch."""

    numbers: Mapping[Domain, Answers]
    """By domain: raw cell to 12-digit number (String)."""
    offsets: Answers = field(default_factory=lambda: Answers.of(NO_OFFSETS, pl.Int64))
    """Patient number to days (Int64), never zero; needed where dates are shifted."""

    def __repr__(self) -> str:
        return "Keys()"

    @classmethod
    def of(cls, numbers: Mapping[Domain, Mapping[str, str]], offsets: Mapping[str, int] = NO_OFFSETS) -> Keys:
        """Those of dictionaries."""
        return cls({domain: Answers.of(table, pl.String) for domain, table in numbers.items()}, Answers.of(offsets, pl.Int64))

    def numbers_of(self, domain: Domain, cells: pl.Series) -> pl.Series:
        """The number of each raw cell; null where there is none."""
        return self.numbers.get(domain, Answers.of(NO_NUMBERS, pl.String)).to(cells)

    def with_canary(self, canary: CanaryValues) -> Keys:
        """These keys and those of made-up rows, which the linking table never sees."""
        theirs = Keys.of(canary.numbers, canary.offsets)
        return Keys({**theirs.numbers, **self.numbers, **self._both(theirs)}, self.offsets | theirs.offsets)

    def _both(self, others: Keys) -> dict[Domain, Answers]:
        return {domain: self.numbers[domain] | others.numbers[domain] for domain in self.numbers.keys() & others.numbers.keys()}
