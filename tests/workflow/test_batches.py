"""A batch is complete when it is closed and nothing of it is under way; every pack is counted exactly once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.messages.events import BatchCompleted
from slidekeeper.workflow.batches import completion
from slidekeeper.workflow.states import UNDER_WAY, BatchState, PackState
from writers.events import BATCH

AT_REST = sorted(set(PackState) - UNDER_WAY - {PackState.NEW})

resting = st.dictionaries(st.sampled_from(AT_REST), st.integers(0, 1000))
waiting = st.dictionaries(st.sampled_from(sorted(UNDER_WAY)), st.integers(1, 1000), min_size=1)


@given(resting)
@settings(max_examples=100, deadline=None)
def test_a_closed_batch_at_rest_is_complete_and_counts_every_pack_once(counts: dict[PackState, int]) -> None:
    completed = completion(BATCH, BatchState.CLOSED, counts)
    assert completed is not None
    assert completed.batch == BATCH
    assert completed.packs == sum(counts.values())
    assert completed.packs == completed.catalogued + completed.duplicates + completed.quarantined + completed.others


@given(resting, waiting)
@settings(max_examples=100, deadline=None)
def test_a_closed_batch_waits_for_every_pack_under_way(counts: dict[PackState, int], under_way: dict[PackState, int]) -> None:
    assert completion(BATCH, BatchState.CLOSED, {**counts, **under_way}) is None


@given(st.sampled_from([state for state in BatchState if state is not BatchState.CLOSED]), resting)
@settings(max_examples=50, deadline=None)
def test_only_a_closed_batch_can_be_completed(state: BatchState, counts: dict[PackState, int]) -> None:
    assert completion(BATCH, state, counts) is None


def test_packs_are_counted_by_how_they_ended() -> None:
    counts = {
        PackState.CATALOGUED: 2,
        PackState.DONE: 3,
        PackState.DUPLICATE: 4,
        PackState.QUARANTINED: 5,
        PackState.VANISHED: 6,
        PackState.DISCARDED: 7,
        PackState.SUPERSEDED: 8,
    }
    expected = BatchCompleted(batch=BATCH, packs=35, catalogued=5, duplicates=4, quarantined=5, others=21)
    assert completion(BATCH, BatchState.CLOSED, counts) == expected


def test_a_batch_without_packs_is_complete_when_it_is_closed() -> None:
    assert completion(BATCH, BatchState.CLOSED, {}) == BatchCompleted(
        batch=BATCH, packs=0, catalogued=0, duplicates=0, quarantined=0, others=0
    )


@pytest.mark.parametrize("state", sorted(UNDER_WAY))
def test_a_count_of_zero_packs_under_way_holds_nothing_up(state: PackState) -> None:
    assert completion(BATCH, BatchState.CLOSED, {state: 0, PackState.DONE: 1}) is not None
