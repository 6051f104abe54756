"""A failed step is tried again with growing delay, its pack quarantined, or its place suspended; attempts never run on for ever."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.errors import Permanent, SlidekeeperError, SourceChanged, Temporary, Unavailable
from slidekeeper.workflow.retry import FEW_ATTEMPTS, Quarantine, Retry, RetryPolicy, Suspend, treat

policies = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 12),
    first_delay=st.floats(0.01, 60),
    factor=st.floats(1, 10),
    longest_delay=st.floats(60, 3600),
)
attempts = st.integers(1, 50)


def test_a_temporary_error_is_tried_again_after_the_first_delay() -> None:
    assert treat(Temporary("share-slow"), 1, RetryPolicy(first_delay=2)) == Retry(2)


def test_delays_grow_by_the_factor() -> None:
    policy = RetryPolicy(attempts=5, first_delay=1, factor=4, longest_delay=300)
    assert [treat(Temporary("share-slow"), attempt, policy) for attempt in range(1, 5)] == [Retry(1), Retry(4), Retry(16), Retry(64)]


def test_a_delay_never_exceeds_the_longest() -> None:
    assert treat(Temporary("share-slow"), 8, RetryPolicy(attempts=10, longest_delay=300)) == Retry(300)


def test_a_temporary_error_quarantines_when_attempts_are_used_up() -> None:
    treatment = treat(Temporary("share-slow", "no answer"), 5, RetryPolicy(attempts=5))
    assert treatment == Quarantine("share-slow", "no answer (given up after 5 attempts)")


def test_a_detail_that_is_empty_leaves_no_space_before_the_attempts() -> None:
    assert treat(Temporary("share-slow"), 5, RetryPolicy()) == Quarantine("share-slow", "(given up after 5 attempts)")


def test_a_permanent_error_quarantines_at_once() -> None:
    assert treat(Permanent("truncated", "ends too early"), 1, RetryPolicy()) == Quarantine("truncated", "ends too early")


@given(attempts, policies)
@settings(max_examples=50, deadline=None)
def test_a_place_that_cannot_be_used_is_suspended_however_often_it_was_tried(attempt: int, policy: RetryPolicy) -> None:
    assert treat(Unavailable("bucket", "disk-full", "no space"), attempt, policy) == Suspend("bucket", "disk-full", "no space")


def test_a_pack_that_crashed_its_worker_gets_a_second_chance_and_no_third() -> None:
    assert isinstance(treat(Temporary("worker-crashed"), 1, RetryPolicy()), Retry)
    assert isinstance(treat(Temporary("worker-crashed"), 2, RetryPolicy()), Quarantine)


@pytest.mark.parametrize("reason", ["worker-timeout", "worker-memory"])
def test_a_pack_that_exhausted_its_worker_is_quarantined_at_once(reason: str) -> None:
    assert isinstance(treat(Temporary(reason), 1, RetryPolicy()), Quarantine)


@given(st.sampled_from(["share-slow", *FEW_ATTEMPTS]), policies)
@settings(max_examples=100, deadline=None)
def test_no_reason_is_tried_for_ever(reason: str, policy: RetryPolicy) -> None:
    treatments = [treat(Temporary(reason), attempt, policy) for attempt in range(1, 14)]
    retries = [treatment for treatment in treatments if isinstance(treatment, Retry)]
    assert len(retries) == FEW_ATTEMPTS.get(reason, policy.attempts) - 1
    assert all(isinstance(treatment, Quarantine) for treatment in treatments[len(retries) :])


@given(policies)
@settings(max_examples=100, deadline=None)
def test_delays_never_shrink_and_stay_within_bounds(policy: RetryPolicy) -> None:
    treatments = [treat(Temporary("share-slow"), attempt, policy) for attempt in range(1, policy.attempts)]
    delays = [treatment.delay for treatment in treatments if isinstance(treatment, Retry)]
    assert len(delays) == policy.attempts - 1
    assert delays == sorted(delays)
    assert all(policy.first_delay <= delay <= policy.longest_delay for delay in delays)


@pytest.mark.parametrize("error", [SourceChanged("changed"), SlidekeeperError("odd")], ids=lambda error: type(error).__name__)
def test_an_error_of_no_special_kind_is_treated_as_temporary(error: SlidekeeperError) -> None:
    assert treat(error, 1, RetryPolicy(first_delay=1)) == Retry(1)
    assert isinstance(treat(error, 5, RetryPolicy(attempts=5)), Quarantine)
