"""Dates as people and machines write them, so that a date of a patient is found in any of its usual spellings."""

from __future__ import annotations

import polars as pl

FORMATS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%d%m%Y", "%m%d%Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%m-%d-%y"),
    *("%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%d%b%Y", "%d. %B %Y", "%B %d, %Y", "%b %d, %Y", "%B %d %Y"),
)
"""In which a cell may be written. One that fits several, as 02/03/1980 does, is taken for all of them."""

NUMERIC = ("%Y%m%d", "%d%m%Y", "%m%d%Y")
GERMAN = ("januar", "februar", "marz", "april", "mai", "juni", "juli", "august", "september", "oktober", "november", "dezember")
TIME_OF_DAY = r"[T ]+[0-9]{1,2}:[0-9]{2}.*$"


def days_in(cells: pl.Series) -> pl.Series:
    """All distinct days (Date) that the cells may mean; a two-digit year means this century and the one before."""
    texts = cells.str.strip_chars().str.replace(TIME_OF_DAY, "").unique().drop_nulls()
    found = []
    for style in FORMATS:
        days = texts.str.to_date(style, strict=False).drop_nulls()
        found += [days, days.dt.offset_by("-100y")] if style.endswith("%y") else [days]
    return pl.concat(found).unique()


def spellings(days: pl.Series) -> pl.Series:
    """Folded and compact spellings of days: ``19800302``, ``2march1980``, ``mar21980``, ``2marz1980`` and so on."""
    number, year = days.dt.strftime("%-d"), days.dt.strftime("%Y")
    spelled = [days.dt.strftime(style).str.strip_chars_start("0") for style in NUMERIC]
    for month in (days.dt.strftime("%B").str.to_lowercase(), days.dt.strftime("%b").str.to_lowercase(), _german(days)):
        for day in (number, number + _ordinal(days), days.dt.strftime("%d")):
            spelled += [(day + month + year), (month + day + year)]
    return pl.concat(spelled).unique()


def _german(days: pl.Series) -> pl.Series:
    """German names of the months, folded."""
    return days.dt.month().replace_strict(list(range(1, 13)), list(GERMAN), return_dtype=pl.String)


def _ordinal(days: pl.Series) -> pl.Series:
    """``st``, ``nd``, ``rd`` or ``th``, as the day has it."""
    endings = dict.fromkeys(range(1, 32), "th") | {1: "st", 21: "st", 31: "st", 2: "nd", 22: "nd", 3: "rd", 23: "rd"}
    return days.dt.day().replace_strict(list(endings), list(endings.values()), return_dtype=pl.String)
