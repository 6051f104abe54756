"""Names of things that are safe to show: random, never derived from anything clinical."""

from __future__ import annotations

import secrets
from typing import NewType

PackId = NewType("PackId", str)
"""16 hexadecimal digits, drawn when a pack is first seen; the one id through a pack's life in journal and logs."""

BatchId = NewType("BatchId", str)
"""12 hexadecimal digits, drawn when the first pack of a batch is seen."""

SlideNumber = NewType("SlideNumber", str)
"""12 decimal digits, drawn by the linking table; replaces the barcode everywhere outside the fence."""

SLIDE_NUMBER_DIGITS = 12


def new_pack_id() -> PackId:
    """Draw a new random pack id."""
    return PackId(secrets.token_hex(8))


def new_batch_id() -> BatchId:
    """Draw a new random batch id."""
    return BatchId(secrets.token_hex(6))


def new_slide_number() -> SlideNumber:
    """Draw a random 12-digit number without a leading zero, so that no spreadsheet shortens it."""
    (number,) = new_slide_numbers(1)
    return number


def new_slide_numbers(count: int) -> list[SlideNumber]:
    """Draw ``count`` such numbers, each by itself: two may be the same. Many at once are much quicker than one by one."""
    low = 10 ** (SLIDE_NUMBER_DIGITS - 1)
    numbers: list[SlideNumber] = []
    while len(numbers) < count:
        # 40 random bits each; those that reach beyond the last number are drawn anew, so that all are equally likely.
        drawn = secrets.token_bytes(5 * (count - len(numbers)))
        values = (int.from_bytes(drawn[start : start + 5]) for start in range(0, len(drawn), 5))
        numbers += [SlideNumber(str(low + value)) for value in values if value < 9 * low]
    return numbers


def slide_key(number: SlideNumber) -> str:
    """Bucket key of one slide's folder: ``slides/<first 3 digits>/<number>``."""
    return f"slides/{number[:3]}/{number}"


def revision_key(number: SlideNumber, revision: int) -> str:
    """Bucket key of one slide revision's folder: ``slides/<first 3 digits>/<number>/r<revision>``."""
    return f"{slide_key(number)}/r{revision}"
