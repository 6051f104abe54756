"""What all grammars have in common: a pattern that finds candidates fast, a function that reads few distinct ones, and closed lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl

Reading: TypeAlias = Mapping[str, str | int]
"""What was understood: values by part. A missing part was not found, or not clear."""


@dataclass(frozen=True, slots=True)
class Part:
    """One output column and everything that can ever stand in it."""

    name: str
    allowed: tuple[str, ...] | tuple[int, ...]

    @property
    def dtype(self) -> type[pl.DataType]:
        """Int32 for numbers, String for words."""
        return pl.Int32 if isinstance(self.allowed[0], int) else pl.String


@dataclass(frozen=True, slots=True)
class Grammar:
    """A notation. ``candidates`` is a regular expression of the regex crate; ``read`` is pure and gets every match in a cell."""

    name: str
    candidates: str
    parts: tuple[Part, ...]
    read: Callable[[Sequence[str]], Reading]

    def closed(self, candidates: Sequence[str]) -> dict[str, str | int | None]:
        """Read, and let through only what the closed lists allow: a part with anything else is None."""
        reading = self.read(candidates)
        return {part.name: value if (value := reading.get(part.name)) in part.allowed else None for part in self.parts}


def extract(grammar: Grammar, texts: pl.Series) -> pl.DataFrame:
    """One column for each part, one row for each text; null where nothing clear was found.

    Candidates are found columnwise; each distinct set of candidates is read once, and there are few: the notations are small.
    """
    clean = texts.str.normalize("NFKC").str.replace_all(r"\s+", " ")
    found = clean.str.extract_all(grammar.candidates).list.join("\n").alias("found")
    distinct = [each for each in found.unique().to_list() if each]
    readings = [grammar.closed(each.split("\n")) for each in distinct]
    schema = {part.name: part.dtype for part in grammar.parts}
    columns = {part.name: [reading[part.name] for reading in readings] for part in grammar.parts}
    table = pl.DataFrame({"found": distinct, **columns}, schema={"found": pl.String, **schema})
    return found.to_frame().join(table, on="found", how="left", maintain_order="left").select(*schema)


def only(values: Sequence[str]) -> str | None:
    """The value on which all agree, or None."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None
