"""The sample for review is of the wanted size and the same every time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.steps.records.freetext.sampling import sample_for_review


@given(st.integers(0, 2000), st.floats(0.001, 1), st.integers(0, 100))
def test_a_sample_has_distinct_rows_and_at_least_its_share(rows: int, share: float, seed: int) -> None:
    sample = sample_for_review(rows, share, seed)
    assert sample == sorted(set(sample))
    assert all(0 <= index < rows for index in sample)
    assert rows * share <= len(sample) <= rows * share + 1
    assert sample == sample_for_review(rows, share, seed)
