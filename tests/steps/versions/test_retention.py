"""Retention keeps what a rule or a hold keeps, says why, and by default keeps everything."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.settings.training import RetentionSettings
from slidekeeper.steps.versions.retention import EVERYTHING, NO_RULE, Candidate, judge

TODAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)

COUNTS = st.integers(0, 5)
RULES = st.builds(RetentionSettings, last=COUNTS, daily=COUNTS, weekly=COUNTS, monthly=COUNTS, yearly=COUNTS)
HISTORIES = st.lists(st.integers(0, 1500), max_size=40).map(
    lambda hours: [Candidate(number, NOON - timedelta(hours=ago * 7)) for number, ago in enumerate(sorted(hours, reverse=True), 1)]
)
HOLDS = st.dictionaries(st.integers(1, 40), st.dates(date(2026, 1, 1), date(2027, 12, 31)), max_size=5)


def kept(candidates: list[Candidate], rules: RetentionSettings, holds: dict[int, date] | None = None) -> set[int]:
    return {verdict.version for verdict in judge(candidates, rules, holds or {}, TODAY) if verdict.keep}


def days(*ago: int) -> list[Candidate]:
    return [Candidate(number, NOON - timedelta(days=back)) for number, back in enumerate(ago, 1)]


def test_without_rules_everything_is_kept() -> None:
    assert [verdict.reasons for verdict in judge(days(900, 1), RetentionSettings(), {}, TODAY)] == [(EVERYTHING,), (EVERYTHING,)]


def test_reasons_name_every_rule_that_keeps() -> None:
    verdicts = judge(days(40, 1, 0), RetentionSettings(last=1, daily=2), {}, TODAY)
    assert [(verdict.version, verdict.keep) for verdict in verdicts] == [(1, False), (2, True), (3, True)]
    assert verdicts[0].reasons == (NO_RULE,)
    assert verdicts[1].reasons == ("newest of its day, day 2 of 2",)
    assert verdicts[2].reasons == ("newest of all, number 1 of 1", "newest of its day, day 1 of 2")


def test_days_without_a_version_do_not_count() -> None:
    assert kept(days(300, 200, 100), RetentionSettings(daily=2)) == {2, 3}


def test_the_newest_of_each_week_month_and_year() -> None:
    assert kept(days(700, 400, 40, 35, 8, 2, 0), RetentionSettings(weekly=2)) == {6, 7}
    assert kept(days(700, 400, 40, 35, 8, 2, 0), RetentionSettings(monthly=2)) == {4, 7}
    assert kept(days(700, 400, 40, 35, 8, 2, 0), RetentionSettings(yearly=9)) == {1, 2, 7}


def test_a_hold_ends_with_its_day() -> None:
    rules = RetentionSettings(last=1)
    assert kept(days(9, 0), rules, {1: TODAY}) == {1, 2}
    assert kept(days(9, 0), rules, {1: TODAY - timedelta(days=1)}) == {2}


@settings(deadline=None)
@given(HISTORIES, RULES, HOLDS)
def test_every_version_is_judged_once_and_has_a_reason(
    candidates: list[Candidate], rules: RetentionSettings, holds: dict[int, date]
) -> None:
    verdicts = judge(candidates, rules, holds, TODAY)
    assert [verdict.version for verdict in verdicts] == [candidate.version for candidate in candidates]
    assert all(verdict.reasons for verdict in verdicts)


@settings(deadline=None)
@given(HISTORIES, RULES)
def test_the_newest_is_always_kept(candidates: list[Candidate], rules: RetentionSettings) -> None:
    if candidates:
        newest = max(candidates, key=lambda candidate: (candidate.created, candidate.version))
        assert newest.version in kept(candidates, rules)


@settings(deadline=None)
@given(HISTORIES, RULES, HOLDS)
def test_what_is_held_is_kept(candidates: list[Candidate], rules: RetentionSettings, holds: dict[int, date]) -> None:
    held = {candidate.version for candidate in candidates} & {version for version, until in holds.items() if until >= TODAY}
    assert held <= kept(candidates, rules, holds)


@settings(deadline=None)
@given(HISTORIES, RULES, st.sampled_from(["last", "daily", "weekly", "monthly", "yearly"]))
def test_a_wider_rule_never_removes_more(candidates: list[Candidate], rules: RetentionSettings, rule: str) -> None:
    wider = rules.model_copy(update={rule: getattr(rules, rule) + 1})
    if any((rules.last, rules.daily, rules.weekly, rules.monthly, rules.yearly)):
        assert kept(candidates, rules) <= kept(candidates, wider)


@settings(deadline=None)
@given(HISTORIES, RULES)
def test_judging_again_what_was_kept_removes_nothing(candidates: list[Candidate], rules: RetentionSettings) -> None:
    first = kept(candidates, rules)
    assert kept([candidate for candidate in candidates if candidate.version in first], rules) == first


@settings(deadline=None)
@given(HISTORIES, st.integers(1, 5))
def test_the_last_so_many_are_kept(candidates: list[Candidate], count: int) -> None:
    assert len(kept(candidates, RetentionSettings(last=count))) == min(count, len(candidates))
