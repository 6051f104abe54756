"""ZIP codes cut to three digits, where enough people live: the only place smaller than a state that Safe Harbor lets out."""

from __future__ import annotations

from importlib import resources

import polars as pl

RESTRICTED_LIST = "zip3-restricted-2020.csv"
"""The list in force. A new census brings a new file beside it, and this name changes."""

WITHHELD = "000"
"""Stands for every prefix whose area holds 20,000 people or fewer (45 CFR 164.514(b)(2)(i)(B)(2))."""

ZIP = r"^\s*([0-9]{3})[0-9]{2}(?:-?[0-9]{4})?\s*$"
"""Five digits, or nine. Four digits are a code that a spreadsheet damaged; nobody guesses which."""


def restricted_prefixes() -> tuple[str, ...]:
    """Read the prefixes that may not be told apart, from the data file of this package."""
    text = resources.files(__package__).joinpath("data", RESTRICTED_LIST).read_text("ascii")
    lines = [line.strip() for line in text.splitlines()]
    return tuple(line for line in lines if line.isdigit())


def zip3(text: pl.Expr) -> pl.Expr:
    """First three digits of ZIP codes; :data:`WITHHELD` where few live; null for what is no US ZIP code."""
    prefix = text.str.extract(ZIP)
    return pl.when(prefix.is_in(restricted_prefixes())).then(pl.lit(WITHHELD)).otherwise(prefix)
