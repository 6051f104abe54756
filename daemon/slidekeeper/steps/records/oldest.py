"""Who is, or may be, 90 or older: no year of birth leaves the hospital for them (45 CFR 164.514(b)(2)(i)(C)).

A year says less than a date: whoever turns 90 within the year counts already, because a year of birth cannot tell whether the birthday
has passed. Beside birth dates, every age column counts, also one that is dropped.

What is not hidden: an age below 90 at an event, next to the event's year, dates a birth to within a year, whatever the patient's
age is today. The rule speaks of ages over 89 in the record. A site that wants neither drops one of the two columns.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from slidekeeper.model.contract import NUMBERS, OLDEST_AGE, TIMES, Column, Contract, Identifies
from slidekeeper.steps.records.typed_cells import day, decimal

YEAR_IN_TEXT = r"(?:^|[^0-9])((?:18|19|20)[0-9]{2})(?:[^0-9]|$)"
NUMBER_IN_TEXT = r"([0-9]+)"
AGES = frozenset({Identifies.BIRTH_DATE, Identifies.AGE})
"""In which way a column identifies that is looked at."""


def may_be_oldest(contract: Contract, today: date) -> pl.Expr:
    """For each row, whether a birth date or an age in it says that the patient is or may be 90 or older; never null."""
    signs = [_old_by_birth(column, today) for column in contract.columns if column.identifies is Identifies.BIRTH_DATE]
    signs += [_old_by_age(column, contract) for column in contract.columns if column.identifies is Identifies.AGE]
    return pl.any_horizontal(pl.lit(False), *(sign.fill_null(False) for sign in signs))


def _old_by_birth(column: Column, today: date) -> pl.Expr:
    """Whether the birth date, or a year that stands in its text, lies 90 years back."""
    if column.type not in TIMES:
        return today.year - pl.col(column.name).str.extract(YEAR_IN_TEXT).cast(pl.Int32) >= OLDEST_AGE
    return today.year - day(column).dt.year() >= OLDEST_AGE


def _old_by_age(column: Column, contract: Contract) -> pl.Expr:
    """Whether the age, or the first number in its text, is 90 or more."""
    text = pl.col(column.name)
    if column.type in NUMBERS:
        return decimal(text, contract.dialect) >= OLDEST_AGE
    return text.str.extract(NUMBER_IN_TEXT).cast(pl.Float64) >= OLDEST_AGE
