"""What a cleanup policy releases, for any set of runs: never more than it must, always the oldest first, always with a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.model.run import RunId
from slidekeeper.settings.training import CleanupSettings
from slidekeeper.steps.cleanup.policy import Candidate, due

NOW = datetime(2026, 11, 24, tzinfo=UTC)
VOLUMES = st.integers(0, 2)

candidates = st.lists(
    st.builds(
        Candidate,
        run=st.integers(0, 999).map(lambda number: RunId(f"{number:012x}")),
        protected=st.integers(0, 60 * 24 * 30).map(lambda minutes: NOW - timedelta(minutes=minutes)),
        size=st.integers(0, 1000),
        volume=VOLUMES,
        leaving=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda each: each.run,
)
policies = st.builds(
    CleanupSettings,
    runs=st.sampled_from(["keep", "at-once", "after-days", "low-space"]),
    after_days=st.floats(0.1, 40),
    low_space_bytes=st.integers(0, 5000),
)
frees = st.dictionaries(VOLUMES, st.integers(0, 5000))


@given(candidates, policies, frees)
def test_only_protected_runs_are_released_oldest_first_and_with_a_reason(
    runs: list[Candidate], policy: CleanupSettings, free: dict[int, int]
) -> None:
    by_id = {each.run: each for each in runs}
    released = due(runs, policy, NOW, free)
    found = [by_id[each.run] for each in released]
    assert not any(each.leaving for each in found)
    assert found == sorted(found, key=lambda each: (each.protected, each.run))
    assert all(each.reason.startswith(policy.runs) for each in released)


@given(candidates, policies, frees)
def test_the_order_of_the_runs_does_not_matter(runs: list[Candidate], policy: CleanupSettings, free: dict[int, int]) -> None:
    assert due(runs, policy, NOW, free) == due(runs[::-1], policy, NOW, free)


@given(candidates, frees)
def test_keep_releases_nothing_and_at_once_everything(runs: list[Candidate], free: dict[int, int]) -> None:
    assert due(runs, CleanupSettings(runs="keep"), NOW, free) == []
    assert {each.run for each in due(runs, CleanupSettings(runs="at-once"), NOW, free)} == {each.run for each in runs if not each.leaving}


@given(candidates, st.floats(0.1, 40))
def test_after_days_releases_exactly_what_is_old_enough(runs: list[Candidate], days: float) -> None:
    released = {each.run for each in due(runs, CleanupSettings(runs="after-days", after_days=days), NOW, {})}
    old = {each.run for each in runs if not each.leaving and NOW - each.protected >= timedelta(days=days)}
    assert released == old


@given(candidates, st.integers(0, 5000), frees)
def test_low_space_frees_enough_on_each_volume_and_not_one_run_more(runs: list[Candidate], wanted: int, free: dict[int, int]) -> None:
    released = [each.run for each in due(runs, CleanupSettings(runs="low-space", low_space_bytes=wanted), NOW, free)]
    for volume in range(3):
        here = [each for each in runs if each.volume == volume]
        chosen = sorted((each for each in here if each.run in released), key=lambda each: (each.protected, each.run))
        if volume not in free:
            assert not chosen
            continue
        before = free[volume] + sum(each.size for each in here if each.leaving)
        after = before + sum(each.size for each in chosen)
        assert after >= wanted or len(chosen) == sum(not each.leaving for each in here)
        assert not chosen or after - chosen[-1].size < wanted
        rest = [each for each in here if not each.leaving and each.run not in released]
        assert all((one.protected, one.run) <= (other.protected, other.run) for one in chosen for other in rest)
