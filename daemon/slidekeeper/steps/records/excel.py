"""What a spreadsheet does to identifiers when somebody opens and saves a CSV file, where it can be told for sure. Pure."""

from __future__ import annotations

import polars as pl

SCIENTIFIC = r"(?i)^[0-9](?:[.,][0-9]+)?E[+-][0-9]{2,3}(?:\.[a-z0-9]{1,8})?$"
"""``1.2E+05``, also before a file name's extension."""
MONTHS = r"(?:Jan|Feb|M[aä]r|Mrz|Apr|Ma[iy]|Jun|Jul|Aug|Sep|O[ck]t|Nov|De[cz])"
DATE = rf"(?i)^(?:[0-9]{{1,2}}[-. ]{{1,2}}{MONTHS}\.?(?:[- ][0-9]{{2,4}})?|{MONTHS}\.?[- ][0-9]{{2,4}})$"
"""``24-Jan``, ``Jan-24``, ``24. Jan``: what becomes of ``24-01``."""
ERROR = r"^#(?:NAME\?|REF!|VALUE!|N/A|NUM!|DIV/0!|NULL!|NAME|WERT!|BEZUG!|ZAHL!|NV|#+)$"
NUMBER = r"^[1-9][0-9]*(?:\.[A-Za-z0-9]{1,8})?$"
MOST_ZEROS = 20


def is_damaged(cell: pl.Expr, regex: str) -> pl.Expr:
    """Whether a cell that holds an identifier carries a spreadsheet's marks.

    Args:
        cell: a String column.
        regex: what the whole cell must match by the contract; empty for anything. What looks like a month or a short number is no
            damage where this allows it.
    """
    marked = cell.str.contains(SCIENTIFIC) | cell.str.contains(ERROR)
    if not regex:
        return marked | cell.str.contains(DATE)
    unwanted = ~cell.str.contains(rf"^(?:{regex})$")
    return marked | (unwanted & (cell.str.contains(DATE) | _lost_zeros(cell, regex)))


def _lost_zeros(cell: pl.Expr, regex: str) -> pl.Expr:
    """Whether a number would be right if it began with zeros."""
    # Any number of the zeros set before it may be skipped: one pass tries all lengths.
    padded = pl.concat_str(pl.lit("0" * MOST_ZEROS), cell)
    return cell.str.contains(NUMBER) & padded.str.contains(rf"^0*(?:{regex.removeprefix('^')})$")
