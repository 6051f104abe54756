"""Copies are added while they bring more, and never beyond what is allowed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.steps.staging.pacing import first_pace, next_pace


@given(st.integers(1, 64), st.lists(st.floats(0, 1e10), max_size=50))
def test_the_width_stays_between_one_and_the_most(most: int, rates: list[float]) -> None:
    pace = first_pace(most)
    for rate in rates:
        pace = next_pace(pace, rate)
        assert 1 <= pace.width <= most


def settled(most: int, knee: int) -> set[int]:
    """Widths in the end on a disk that ``knee`` copies keep busy; more of them disturb each other."""
    pace, widths = first_pace(most), []
    for _ in range(60):
        pace = next_pace(pace, 100.0 * min(pace.width, knee) - 30.0 * max(0, pace.width - knee))
        widths.append(pace.width)
    return set(widths[-20:])


def test_it_climbs_to_where_more_does_not_help() -> None:
    assert 16 not in settled(32, 8)
    assert max(settled(32, 8)) >= 8
    assert min(settled(32, 2)) <= 3
    assert max(settled(3, 8)) == 3
