"""Who may pass the broker's door, and what counts as a reason."""

from __future__ import annotations

import pytest

from slidekeeper.errors import Refused
from slidekeeper.model.broker import checked_reason, may_pass, named_caller


@pytest.mark.parametrize("reason", ["", "because", " " * 40, "x" * 501, "a reason\nof two lines"])
def test_what_says_too_little_is_no_reason(reason: str) -> None:
    with pytest.raises(Refused, match="reason-missing"):
        checked_reason(reason)


@pytest.mark.parametrize("reason", ["recall of S26-1, please", "recall of s26-1, please"])
def test_a_reason_that_repeats_an_identifier_is_refused_without_repeating_it(reason: str) -> None:
    with pytest.raises(Refused, match="reason-identifies") as refused:
        checked_reason(reason, ["S26-1"])
    assert "26" not in str(refused.value)


def test_a_sound_reason_is_kept_without_outer_white_space() -> None:
    assert checked_reason(" clinical recall 2026/7 ", ["S26-1", ""]) == "clinical recall 2026/7"


@pytest.mark.parametrize(
    ("user", "groups", "group", "passes"),
    [(1000, {5}, None, True), (0, {0}, 7, True), (1000, {5, 7}, 7, True), (1000, {5}, 7, False)],
)
def test_root_and_members_pass_and_everybody_where_no_group_is_set(user: int, groups: set[int], group: int | None, passes: bool) -> None:
    assert may_pass(user, groups, group) is passes


@pytest.mark.parametrize(
    ("user", "name", "claimed", "named"),
    [
        (1000, "alice", "", "alice"),
        (1000, "alice", "bob", "alice"),
        (0, "root", "bob", "bob as root"),
        (0, "root", "root", "root"),
        (0, "root", "", "root"),
    ],
)
def test_only_root_may_name_another(user: int, name: str, claimed: str, named: str) -> None:
    assert named_caller(user, name, claimed) == named
