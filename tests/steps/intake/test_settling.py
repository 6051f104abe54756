"""A pack settles only behind its quiet time; what is unsound waits, is held or reported, and is never dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.model.phi import FileIdentity, Role
from slidekeeper.settings.sections import DropSettings
from slidekeeper.steps.intake.settling import (
    WORST_FIRST,
    Examine,
    Gone,
    Hold,
    Look,
    Step,
    Stuck,
    Wait,
    Watch,
    after_change,
    after_fault,
    after_writer,
    before_notice,
    fault_of,
    is_premature,
    next_step,
)

QUIET, INCOMPLETE, STUCK = 10.0, 100.0, 300.0
SITE = DropSettings(path=Path("drop"), settle_seconds=QUIET, incomplete_seconds=INCOMPLETE, stuck_seconds=STUCK)


def look(role: Role = Role.IMAGE, size: int = 5, links: int = 1) -> Look:
    return Look(role, FileIdentity(size, size, size), links)


IMAGE, TEXT, GONE = look(), look(Role.BARCODE), Look(Role.IMAGE, None)


def steps(looks: Sequence[tuple[float, Sequence[Look]]], valid: bool = True) -> list[Step]:
    """What is done after each of some looks at (time, members)."""
    watch = Watch(looks[0][0], looks[0][0])
    taken = []
    for now, seen in looks:
        watch.note(seen, now)
        taken.append(next_step(watch, seen, valid, SITE, now))
    return taken


def test_a_pack_is_examined_once_its_quiet_time_is_over() -> None:
    assert steps([(0.0, [IMAGE]), (QUIET, [IMAGE])]) == [Wait(QUIET), Examine()]


def test_one_look_is_never_enough() -> None:
    watch = Watch(0.0, 0.0)
    watch.note([IMAGE], 0.0)
    assert next_step(watch, [IMAGE], True, SITE, 5 * QUIET) == Wait(5 * QUIET)


@pytest.mark.parametrize("change", [[look(size=6)], [IMAGE, TEXT], [look(size=0)]], ids=["grown", "joined", "emptied"])
def test_any_change_begins_the_quiet_time_anew(change: Sequence[Look]) -> None:
    taken = steps([(0.0, [IMAGE]), (9.0, change), (QUIET, change), (18.9, change)])
    assert taken == [Wait(QUIET), Wait(19.0), Wait(19.0), Wait(19.0)]


@pytest.mark.parametrize("field", ["size", "mtime_ns", "ctime_ns"])
def test_each_part_of_an_identity_counts(field: str) -> None:
    parts = {"size": 5, "mtime_ns": 5, "ctime_ns": 5} | {field: 6}
    assert steps([(0.0, [IMAGE]), (QUIET, [Look(Role.IMAGE, FileIdentity(**parts))])])[-1] == Wait(2 * QUIET)


@pytest.mark.parametrize(
    ("looks", "valid", "fault"),
    [
        ([IMAGE, TEXT], True, ""),
        ([IMAGE, look(Role.SPECIAL)], True, "not-a-regular-file"),
        ([look(Role.SPECIAL)], False, "not-a-regular-file"),
        ([IMAGE], False, "invalid-barcode"),
        ([IMAGE, IMAGE], True, "ambiguous-pack"),
        ([IMAGE, IMAGE], False, "invalid-barcode"),
        ([TEXT], True, "incomplete-pack"),
        ([look(links=2)], True, "hard-linked"),
        ([IMAGE, look(Role.BARCODE, links=2)], True, ""),
        ([look(size=0)], True, "empty-file"),
    ],
)
def test_faults_are_named_worst_first(looks: Sequence[Look], valid: bool, fault: str) -> None:
    assert fault_of(looks, valid) == fault


def test_what_cannot_be_looked_at_waits_and_is_never_held_or_gone() -> None:
    unreadable = replace(IMAGE, unreadable=True)
    *waiting, last = steps([(0.0, [IMAGE]), (QUIET, [unreadable]), (INCOMPLETE, [unreadable, TEXT])])
    assert all(isinstance(step, Wait) for step in [*waiting, last])


@pytest.mark.parametrize(
    ("looks", "valid"), [([look(Role.SPECIAL)], True), ([IMAGE], False), ([IMAGE, IMAGE], True)], ids=list(WORST_FIRST)
)
def test_what_no_waiting_mends_is_held_as_soon_as_it_is_quiet(looks: Sequence[Look], valid: bool) -> None:
    first, second = steps([(0.0, looks), (QUIET, looks)], valid)
    assert first == Wait(QUIET)
    assert isinstance(second, Hold)


@pytest.mark.parametrize("looks", [[TEXT], [look(size=0)], [look(links=2)]], ids=["incomplete-pack", "empty-file", "hard-linked"])
def test_what_may_still_mend_is_held_only_when_its_time_is_over(looks: Sequence[Look]) -> None:
    *waiting, last = steps([(0.0, looks), (QUIET, looks), (INCOMPLETE - 0.1, looks), (INCOMPLETE, looks)])
    assert all(isinstance(step, Wait) for step in waiting)
    assert isinstance(last, Hold)


def test_waiting_for_a_late_image_ends_exactly_when_the_pack_would_be_held() -> None:
    assert steps([(0.0, [TEXT]), (95.0, [TEXT])])[-1] == Wait(INCOMPLETE)


def test_a_late_image_mends_an_incomplete_pack() -> None:
    looks = [(0.0, [TEXT]), (50.0, [TEXT]), (99.0, [TEXT, IMAGE]), (109.0, [TEXT, IMAGE])]
    assert steps(looks)[-1] == Examine()


@pytest.mark.parametrize("fault", ["worker-timeout", "worker-memory", "worker-error"])
def test_an_image_that_brings_down_its_worker_is_held_at_once(fault: str) -> None:
    assert after_fault(Watch(0.0, 0.0), fault, SITE, QUIET) == Hold(fault)


def test_an_image_whose_worker_died_is_examined_once_more_for_it_may_have_died_of_something_else() -> None:
    watch = Watch(0.0, 0.0)
    assert after_fault(watch, "worker-crashed", SITE, QUIET) == Wait(2 * QUIET)
    assert after_fault(watch, "worker-crashed", SITE, 2 * QUIET) == Hold("worker-crashed")


def test_a_notice_that_never_comes_is_reported_once() -> None:
    watch = Watch(0.0, 0.0)
    pause = SITE.scan_seconds
    taken = [before_notice(watch, SITE, now) for now in (QUIET, STUCK, STUCK + 1)]
    assert taken == [Wait(QUIET + pause), Stuck("waits-for-notice", STUCK + pause), Wait(STUCK + 1 + pause)]


def test_a_pack_that_changed_under_its_examination_is_not_examined_again_at_once() -> None:
    assert after_change(Watch(0.0, 0.0), SITE, QUIET) == Wait(2 * QUIET)


def test_a_pack_that_comes_back_is_quiet_from_now_on_and_stuck_since_before() -> None:
    again = Watch(0.0, 50.0, looks=3).again(200.0)
    assert (again.since, again.quiet_since, again.looks, again.identities) == (0.0, 200.0, 0, ())
    again.note([IMAGE], 200.0)
    again.note([IMAGE], STUCK)
    assert next_step(again, [IMAGE], True, SITE, STUCK) == Stuck("keeps-changing", STUCK)
    assert next_step(again, [IMAGE], True, SITE, STUCK) == Examine()
    assert again.again(STUCK).stuck


def test_a_truncated_image_waits_like_an_incomplete_pack() -> None:
    watch = Watch(0.0, 0.0)
    assert after_fault(watch, "truncated", SITE, 99.0) == Wait(INCOMPLETE)
    assert after_fault(watch, "truncated", SITE, INCOMPLETE) == Hold("truncated")


def test_a_pack_is_gone_only_when_nothing_is_left_of_it() -> None:
    assert steps([(0.0, [GONE, TEXT]), (1.0, [GONE, Look(Role.BARCODE, None)])]) == [Wait(QUIET), Gone()]


def test_members_that_are_gone_are_no_fault_of_those_that_are_there() -> None:
    seen = [IMAGE, Look(Role.SPECIAL, None)]
    assert steps([(0.0, seen), (QUIET, seen)])[-1] == Examine()


def test_a_pack_that_somebody_writes_waits_for_a_whole_quiet_time() -> None:
    assert after_writer(Watch(0.0, 0.0), SITE, 50.0) == Wait(60.0)


def test_a_pack_that_is_written_for_ever_is_reported_once() -> None:
    watch = Watch(0.0, 0.0)
    assert after_writer(watch, SITE, STUCK) == Stuck("being-written", STUCK + QUIET)
    assert after_writer(watch, SITE, STUCK + 50) == Wait(STUCK + 50 + QUIET)


CHANGES = st.sampled_from([IMAGE, look(size=6), look(size=0), GONE, look(Role.SPECIAL), look(links=2)])
MEMBERS = st.one_of(st.lists(CHANGES, min_size=1, max_size=2), st.just([IMAGE]), st.just([TEXT]))
PAUSES = st.sampled_from([0.0, 0.5, 5.0, QUIET, 12.0, INCOMPLETE, STUCK])


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, Sequence[Look]]]:
    """Looks at times that never go back; often nothing changes between two of them."""
    now, seen, history = 0.0, draw(MEMBERS), []
    for pause in draw(st.lists(PAUSES, min_size=1, max_size=12)):
        now += pause
        if draw(st.integers(0, 3)) == 0:
            seen = draw(MEMBERS)
        history.append((now, seen))
    return history


def quiet_since(history: Sequence[tuple[float, Sequence[Look]]]) -> tuple[float, int]:
    """Since when the last look's identities were seen without a change, and in how many looks."""
    last = [look.identity for look in history[-1][1]]
    begun, count = history[-1][0], 0
    for now, seen in reversed(history):
        if [look.identity for look in seen] != last:
            break
        begun, count = now, count + 1
    return begun, count


@settings(deadline=None)
@given(histories(), st.booleans())
def test_nothing_is_examined_or_held_before_two_equal_looks_span_the_quiet_time(
    history: list[tuple[float, Sequence[Look]]], valid: bool
) -> None:
    for at, step in enumerate(steps(history, valid), 1):
        begun, count = quiet_since(history[:at])
        if isinstance(step, Examine | Hold):
            assert count >= 2
            assert history[at - 1][0] - begun >= QUIET


@settings(deadline=None)
@given(histories(), st.booleans())
def test_a_fault_is_held_early_only_if_no_waiting_mends_it(history: list[tuple[float, Sequence[Look]]], valid: bool) -> None:
    for at, step in enumerate(steps(history, valid), 1):
        if isinstance(step, Hold) and step.reason not in WORST_FIRST:
            assert history[at - 1][0] - quiet_since(history[:at])[0] >= INCOMPLETE


@settings(deadline=None)
@given(histories(), st.booleans())
def test_only_sound_packs_are_examined(history: list[tuple[float, Sequence[Look]]], valid: bool) -> None:
    for (_, seen), step in zip(history, steps(history, valid), strict=True):
        if isinstance(step, Examine):
            assert fault_of([look for look in seen if look.identity is not None], valid) == ""


@settings(deadline=None)
@given(histories(), st.booleans())
def test_stuck_is_reported_at_most_once_and_never_early(history: list[tuple[float, Sequence[Look]]], valid: bool) -> None:
    reported = [now for (now, _), step in zip(history, steps(history, valid), strict=True) if isinstance(step, Stuck)]
    assert len(reported) <= 1
    assert all(now - history[0][0] >= STUCK for now in reported)


@settings(deadline=None)
@given(histories(), st.booleans())
def test_a_pack_is_gone_exactly_when_all_is_gone(history: list[tuple[float, Sequence[Look]]], valid: bool) -> None:
    for (_, seen), step in zip(history, steps(history, valid), strict=True):
        assert isinstance(step, Gone) == all(look.identity is None for look in seen)


@settings(deadline=None)
@given(histories(), st.booleans())
def test_the_next_look_is_never_in_the_past(history: list[tuple[float, Sequence[Look]]], valid: bool) -> None:
    assert all(later >= earlier for (earlier, _), (later, _) in pairwise(history))
    for (now, _), step in zip(history, steps(history, valid), strict=True):
        if isinstance(step, Wait | Stuck):
            assert now <= step.until <= now + max(QUIET, INCOMPLETE)


@settings(deadline=None)
@given(histories())
def test_a_sound_pack_that_is_left_alone_is_examined_in_the_end(history: list[tuple[float, Sequence[Look]]]) -> None:
    end = history[-1][0]
    assert steps([*history, (end + 1, [IMAGE]), (end + 1 + QUIET, [IMAGE])])[-1] == Examine()


@pytest.mark.parametrize(
    ("looking_since", "premature"),
    [(None, False), (5.0, True), (10.0, True), (10.5, False)],
    ids=["no scan", "a scan that showed the last file", "at the same moment", "a scan that began later"],
)
def test_no_pack_is_held_for_an_image_that_the_scan_under_way_may_yet_come_to(looking_since: float | None, premature: bool) -> None:
    watch = Watch(since=10.0, quiet_since=10.0)
    assert is_premature(Hold("incomplete-pack"), watch, looking_since) is premature
    assert not is_premature(Hold("ambiguous-pack"), watch, looking_since)
    assert not is_premature(Wait(20.0), watch, looking_since)
