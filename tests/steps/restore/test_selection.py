"""Patterns select paths name by name, and lead to nothing that they do not select."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.errors import Refused
from slidekeeper.steps.restore.selection import Selection

NAMES = st.sampled_from(["a", "b", "model.pt", "x.pt"])
PATHS = st.lists(NAMES, min_size=1, max_size=4)
PATTERNS = st.lists(st.one_of(NAMES, st.sampled_from(["*", "**", "*.pt"])), min_size=1, max_size=4)


def test_without_patterns_everything_is_selected() -> None:
    assert Selection().wants(b"any/thing")
    assert Selection().leads(b"any")


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"),
    [
        ("artifacts/model.pt", b"artifacts/model.pt", True),
        ("artifacts/*.pt", b"artifacts/deep/model.pt", False),
        ("artifacts/**/*.pt", b"artifacts/deep/er/model.pt", True),
        ("**/*.pt", b"model.pt", True),
        ("artifacts", b"artifacts/below/everything", True),
        ("artifacts/*", b"artifacts/\xff", True),
        ("[a-c]rtifacts/x", b"artifacts/x", True),
        ("*", b"two\nlines", True),
    ],
)
def test_a_pattern_selects(pattern: str, path: bytes, wanted: bool) -> None:
    assert Selection((pattern,)).wants(path) is wanted


def test_a_pattern_does_not_lead_where_nothing_is_selected() -> None:
    one_file = Selection(("artifacts/checkpoints/model.pt",))
    assert one_file.leads(b"artifacts")
    assert one_file.leads(b"artifacts/checkpoints")
    assert not one_file.leads(b"code")
    assert not one_file.leads(b"artifacts/logs")


@pytest.mark.parametrize("pattern", ["", "/", "../secret", "a/../b"])
def test_what_leads_out_is_no_pattern(pattern: str) -> None:
    with pytest.raises(Refused, match="wrong-path"):
        Selection((pattern,)).wants(b"a")


@settings(deadline=None)
@given(PATTERNS, PATHS)
def test_every_folder_above_something_selected_leads_there(pattern: list[str], path: list[str]) -> None:
    selection = Selection(("/".join(pattern),))
    if selection.wants("/".join(path).encode()):
        assert all(selection.leads("/".join(path[:depth]).encode()) for depth in range(1, len(path)))
