"""How many files are copied at once: one more as long as that brings more, one less when it does not; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

FIRST = 4
GAIN = 1.05
"""A step that brings less than this is taken back."""
LOSS = 0.9
"""A rate that falls below this share of the last was not the step's doing alone: the other direction is tried."""


@dataclass(frozen=True, slots=True)
class Pace:
    """The number of copies at once, where it is heading, and what the last look found."""

    most: int
    width: int
    heading: int = 1
    rate: float = 0.0
    """Bytes a second at the last look; 0 before the first."""


def first_pace(most: int) -> Pace:
    """Where to begin."""
    return Pace(most, min(FIRST, most))


def next_pace(pace: Pace, rate: float) -> Pace:
    """The pace after a look that found ``rate`` bytes a second."""
    if pace.rate == 0.0:
        return _stepped(pace, pace.heading, rate)
    if rate < pace.rate * (GAIN if pace.heading > 0 else LOSS):
        return _stepped(pace, -pace.heading, rate)
    return _stepped(pace, pace.heading, rate)


def _stepped(pace: Pace, heading: int, rate: float) -> Pace:
    width = min(pace.most, max(1, pace.width + heading))
    return replace(pace, width=width, heading=heading, rate=rate)
