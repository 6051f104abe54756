"""Which versions of a project are kept, and why: a pure function, after restic's (`forget --keep-…`), which gives reasons for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from slidekeeper.settings.training import RetentionSettings

EVERYTHING = "every version is kept"
NO_RULE = "no rule keeps it"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that is judged."""

    version: int
    created: datetime
    """UTC."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a version."""

    version: int
    keep: bool
    reasons: Sequence[str]
    """Every rule that keeps it; that none does, where it is not kept."""


Bucketing = Callable[[datetime], object]


def judge(candidates: Sequence[Candidate], rules: RetentionSettings, holds: Mapping[int, date], today: date) -> Sequence[Verdict]:
    """The verdict on each version of one project, by number.

    A version is kept if any rule or hold keeps it. ``holds`` are days until which, that day included, a version is held.
    """
    newest_first = sorted(candidates, key=lambda candidate: (candidate.created, candidate.version), reverse=True)
    reasons: dict[int, list[str]] = {candidate.version: [] for candidate in candidates}
    for version, until in holds.items():
        if version in reasons and until >= today:
            reasons[version].append(f"held until {until.isoformat()}")
    if _is_empty(rules):
        for kept in reasons.values():
            kept.append(EVERYTHING)
    for version, reason in _kept_by_rules(newest_first, rules):
        reasons[version].append(reason)
    return [Verdict(version, bool(kept), tuple(kept) or (NO_RULE,)) for version, kept in sorted(reasons.items())]


def _is_empty(rules: RetentionSettings) -> bool:
    return not any((rules.last, rules.daily, rules.weekly, rules.monthly, rules.yearly))


def _kept_by_rules(newest_first: Sequence[Candidate], rules: RetentionSettings) -> Iterator[tuple[int, str]]:
    for place, candidate in enumerate(newest_first[: rules.last], 1):
        yield candidate.version, f"newest of all, number {place} of {rules.last}"
    periods: Sequence[tuple[str, int, Bucketing]] = (
        ("day", rules.daily, lambda created: created.date()),
        ("week", rules.weekly, lambda created: created.isocalendar()[:2]),
        ("month", rules.monthly, lambda created: (created.year, created.month)),
        ("year", rules.yearly, lambda created: created.year),
    )
    for name, count, bucket in periods:
        yield from _newest_of_each(newest_first, name, count, bucket)


def _newest_of_each(newest_first: Sequence[Candidate], name: str, count: int, bucket: Bucketing) -> Iterator[tuple[int, str]]:
    """The newest version of each of the last ``count`` periods that have one."""
    seen: set[object] = set()
    for candidate in newest_first:
        if len(seen) >= count:
            return
        period = bucket(candidate.created)
        if period not in seen:
            seen.add(period)
            yield candidate.version, f"newest of its {name}, {name} {len(seen)} of {count}"
