"""Which protected runs may leave their tier, and why: pure, so that everybody can see beforehand what a policy will do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from slidekeeper.model.run import RunId
from slidekeeper.model.staging import StagingId
from slidekeeper.ports.journal import RunRow, StagingRow
from slidekeeper.settings.training import CleanupSettings
from slidekeeper.workflow.states import RunState


@dataclass(frozen=True, slots=True)
class Candidate:
    """A protected run that still lies in a training root, or one that is just leaving it."""

    run: RunId
    protected: datetime
    size: int
    """Bytes of its version."""
    volume: int
    """The file system it lies on: roots may share one."""
    leaving: bool = False
    """Its cleanup is ordered already: its space counts as free soon."""


@dataclass(frozen=True, slots=True)
class Due:
    """A run that is to be cleaned."""

    run: RunId
    reason: str


def due(candidates: Sequence[Candidate], policy: CleanupSettings, now: datetime, free: Mapping[int, int]) -> Sequence[Due]:
    """The runs to be cleaned now, oldest first.

    Args:
        candidates: in any order.
        policy: the ``[cleanup]`` section.
        now: aware.
        free: bytes free on each volume; one that is not in it is left alone.
    """
    oldest_first = sorted((each for each in candidates if not each.leaving), key=lambda each: (each.protected, each.run))
    match policy.runs:
        case "keep":
            return []
        case "at-once":
            return [Due(each.run, "at-once") for each in oldest_first]
        case "after-days":
            limit = now - timedelta(days=policy.after_days)
            return [Due(each.run, f"after-days: {policy.after_days:g}") for each in oldest_first if each.protected <= limit]
        case "low-space":
            coming = _leaving(candidates)
            room = {volume: size + coming.get(volume, 0) for volume, size in free.items()}
            return list(_until_enough(oldest_first, policy.low_space_bytes, room))


def _leaving(candidates: Sequence[Candidate]) -> Mapping[int, int]:
    """Bytes that cleanups under way will free on each volume."""
    sums: dict[int, int] = {}
    for each in candidates:
        sums[each.volume] = sums.get(each.volume, 0) + each.size * each.leaving
    return sums


def _until_enough(oldest_first: Sequence[Candidate], wanted: int, room: Mapping[int, int]) -> Iterator[Due]:
    left = dict(room)
    for each in oldest_first:
        if left.get(each.volume, wanted) < wanted:
            left[each.volume] += each.size
            yield Due(each.run, f"low-space: less than {wanted} bytes free")


def unneeded(stagings: Sequence[StagingRow], runs: Sequence[RunRow]) -> Sequence[StagingId]:
    """Complete stagings that at least one cleaned run trained on and that no run needs any more.

    A run that is still being trained has not yet said what it trains on: while there is one, nothing is released. A run that was there
    before the staging was ordered may have trained on an older one of the same name, and proves nothing.
    """
    if any(run.state is RunState.RUNNING for run in runs):
        return []
    return [staging.staging for staging in stagings if _is_used_up(staging, runs)]


def _is_used_up(staging: StagingRow, runs: Sequence[RunRow]) -> bool:
    users = [run for run in runs if run.marker and run.marker.staging == staging.name]
    after = [run for run in users if run.appeared >= staging.ordered]
    return bool(after) and all(run.state is RunState.CLEANED for run in users)
