"""Decides which row of a batch's records belongs to which slide; pure, and never a guess.

A row names its slide by the number that stands for the original file name. Where no stored slide has this number, the numbers that are
the same after normalization are tried; whatever is not then certain is counted, and tied to nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import polars as pl

from slidekeeper.model.identity import SlideNumber

Aliases: TypeAlias = Mapping[SlideNumber, Sequence[SlideNumber]]


class MatchMethod(enum.StrEnum):
    """How a row's slide was found."""

    EXACT = "exact"
    NORMALIZED = "normalized"


class Finding(enum.StrEnum):
    """What is said of each row, and of each slide of the records' own batches that lacks one."""

    MATCHED = "matched"
    ROW_WITHOUT_SLIDE = "row-without-slide"
    AMBIGUOUS = "ambiguous"
    """Normalization leads to several stored slides."""
    PATIENT_CONFLICT = "patient-conflict"
    """Rows of the same slide name different patients."""
    DUPLICATE_ROW = "duplicate-row"
    """Several rows of one source name the same slide."""
    SLIDE_WITHOUT_ROW = "slide-without-row"
    """At least one source has no row for the slide."""


ROW_SCHEMA = {
    "source": pl.String,
    "row": pl.Int64,
    "reference": pl.String,
    "patient_number": pl.String,
    "case_number": pl.String,
}


@dataclass(frozen=True, slots=True)
class Alignment:
    """How rows and slides fit together; the same for the same rows, in whatever order they come."""

    rows: pl.DataFrame
    """One line for each row, by ``source`` and ``row``; what the bucket keeps as ``a<n>.parquet``. A row with a problem is tied to nothing,
    even where it says whose it would be. Columns: ``source`` (String), ``row`` (Int64), ``reference`` (String: the number by which the row
    names its slide), ``slide_number`` (String: the stored slide, null when none or several are meant), ``match_method`` (String: a
    :class:`MatchMethod` where ``slide_number`` is given), ``case_number`` and ``patient_number`` (String: as the row has them), ``problem``
    (String: a :class:`Finding`, null when the row is tied)."""
    slides: pl.DataFrame
    """One line for each slide of the records' own batches, by number: ``slide_number`` (String), ``has_<source>`` (Boolean: some row of the
    source names it, even one with a problem), ``problem`` (String, ``slide-without-row`` or null)."""
    counts: Mapping[str, int]
    """How often each :class:`Finding` was made; all but ``slide-without-row`` add up to the number of rows."""


def align(sources: Mapping[str, pl.DataFrame], slides: pl.DataFrame, aliases: Aliases) -> Alignment:
    """Tie rows to slides.

    Args:
        sources: by source, rows with ``row`` (Int64), ``slide_number`` (String: the number by which the row names its slide; a stored slide
            may have it or not) and, where the source knows them, ``patient_number`` and ``case_number`` (String).
        slides: stored slides: ``number`` (String), ``own`` (Boolean: of the records' own batches); a number may come more than once.
        aliases: by reference, other numbers whose original names are the same after normalization.
    """
    stored = slides.group_by("number").agg(pl.col("own").any())
    rows = pl.concat([_uniform(source, frame) for source, frame in sources.items()] or [pl.DataFrame(schema=ROW_SCHEMA)])
    judged = _judged(rows.join(_meant(rows, stored, aliases), on="reference", how="left"))
    examined = _examined(stored, judged, sorted(sources))
    return Alignment(_presented(judged), examined, _counted(judged, examined))


def _uniform(source: str, frame: pl.DataFrame) -> pl.DataFrame:
    """A source's rows, as all sources have them."""
    named = frame.rename({"slide_number": "reference"}).with_columns(pl.lit(source).alias("source"))
    present = {name: pl.col(name) if name in named.columns else pl.lit(None) for name in ROW_SCHEMA}
    return named.select(column.cast(ROW_SCHEMA[name]).alias(name) for name, column in present.items())


def _meant(rows: pl.DataFrame, stored: pl.DataFrame, aliases: Aliases) -> pl.DataFrame:
    """For each reference that leads to stored slides: ``slide_number`` (null when several), ``match_method``, ``candidates``."""
    references = rows.select("reference").drop_nulls().unique()
    exact = references.join(stored, left_on="reference", right_on="number", how="semi")
    spellings = [(reference, number) for reference, numbers in aliases.items() for number in numbers]
    led = pl.DataFrame(spellings, schema={"reference": pl.String, "number": pl.String}, orient="row")
    led = led.join(stored, on="number", how="semi").join(exact, on="reference", how="anti")
    normalized = led.group_by("reference").agg(pl.col("number").unique())
    candidates = pl.col("number").list.len()
    return pl.concat(
        [
            exact.select(
                "reference",
                pl.col("reference").alias("slide_number"),
                pl.lit(MatchMethod.EXACT.value).alias("match_method"),
                pl.lit(1, pl.UInt32).alias("candidates"),
            ),
            normalized.select(
                "reference",
                pl.when(candidates == 1).then(pl.col("number").list.first()).alias("slide_number"),
                pl.when(candidates == 1).then(pl.lit(MatchMethod.NORMALIZED.value)).alias("match_method"),
                candidates.cast(pl.UInt32).alias("candidates"),
            ),
        ]
    )


def _judged(tied: pl.DataFrame) -> pl.DataFrame:
    """The rows with their ``problem``; a conflict of patients weighs more than a second row."""
    named = tied.filter(pl.col("slide_number").is_not_null())
    patients = named.group_by("slide_number").agg(pl.col("patient_number").drop_nulls().n_unique().alias("patients"))
    repeats = named.group_by("source", "slide_number").agg(pl.len().alias("repeats"))
    known = tied.join(patients, on="slide_number", how="left").join(repeats, on=["source", "slide_number"], how="left")
    problem = (
        pl.when(pl.col("candidates") > 1)
        .then(pl.lit(Finding.AMBIGUOUS.value))
        .when(pl.col("slide_number").is_null())
        .then(pl.lit(Finding.ROW_WITHOUT_SLIDE.value))
        .when(pl.col("patients") > 1)
        .then(pl.lit(Finding.PATIENT_CONFLICT.value))
        .when(pl.col("repeats") > 1)
        .then(pl.lit(Finding.DUPLICATE_ROW.value))
    )
    return known.with_columns(problem.alias("problem"))


def _presented(judged: pl.DataFrame) -> pl.DataFrame:
    columns = ("source", "row", "reference", "slide_number", "match_method", "case_number", "patient_number", "problem")
    return judged.select(columns).sort("source", "row", "reference")


def _examined(stored: pl.DataFrame, judged: pl.DataFrame, sources: Sequence[str]) -> pl.DataFrame:
    """The records' own slides, and which source has a row for each."""
    own = stored.filter("own").select(pl.col("number").alias("slide_number"))
    rows = judged.filter(pl.col("slide_number").is_not_null()).group_by("slide_number").agg(pl.col("source").unique().alias("found"))
    seen = own.join(rows, on="slide_number", how="left")
    has = [pl.col("found").list.contains(source).fill_null(False).alias(f"has_{source}") for source in sources]
    marked = seen.select("slide_number", *has)
    whole = pl.all_horizontal(pl.lit(bool(sources)), *(f"has_{source}" for source in sources))
    problem = pl.when(~whole).then(pl.lit(Finding.SLIDE_WITHOUT_ROW.value)).otherwise(None)
    return marked.with_columns(problem.cast(pl.String).alias("problem")).sort("slide_number")


def _counted(judged: pl.DataFrame, examined: pl.DataFrame) -> Mapping[str, int]:
    said = pl.concat([judged.select(pl.col("problem").fill_null(Finding.MATCHED.value)), examined.select("problem").drop_nulls()])
    counted = dict(said.get_column("problem").value_counts().iter_rows())
    return {finding.value: counted.get(finding.value, 0) for finding in Finding}
