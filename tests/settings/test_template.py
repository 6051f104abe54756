"""The example that documents every key, and the short file of a new site."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.settings.loader import load_settings
from slidekeeper.settings.template import render_example, render_initial, toml_value

PROJECT = Path(__file__).parents[2]


def test_the_example_in_the_repository_is_current() -> None:
    assert (PROJECT / "config" / "slidekeeper.example.toml").read_text() == render_example(), "run scripts/example-settings"


def test_the_example_shows_every_key_with_its_default(tmp_path: Path) -> None:
    file = tmp_path / "slidekeeper.toml"
    file.write_text(re.sub(r"^#(?=\w)", "", render_example(), flags=re.MULTILINE))
    shown = load_settings(file, environ={})
    file.write_text("[drop.scanner]\npath = 'drop'\n[tier.flash]\npath = 'flash'\n[staging.high-grade]\nwhere = \"imagery_stain = 'HE'\"\n")
    assert shown == load_settings(file, environ={})


def test_the_example_as_it_is_changes_nothing_but_names_the_folders(tmp_path: Path) -> None:
    file = tmp_path / "slidekeeper.toml"
    file.write_text(render_example())
    settings = load_settings(file, environ={})
    assert settings.model_dump(exclude_unset=True).keys() >= {"drop", "tier"}
    assert settings.drop["scanner"].path == tmp_path / "drop"


def test_no_line_of_the_example_explains_nothing() -> None:
    for before, line in pairwise(render_example().splitlines()):
        if re.match(r"#?\w+ = ", line):
            assert before.startswith("# "), line


def test_the_settings_of_a_host_are_sound() -> None:
    settings = load_settings(PROJECT / "config" / "slidekeeper.host.toml", environ={})
    assert all(path.is_absolute() and not path.is_relative_to(PROJECT) for path in (*settings.trees.values(), *settings.guarded.values()))


def test_the_initial_file_holds_only_what_it_is_given() -> None:
    tables: dict[str, dict[str, Any]] = {"drop.scanner": {"path": Path("drop"), "mount": True}, "engine": {"workers": 4}}
    assert tomllib.loads(render_initial(tables)) == {"drop": {"scanner": {"path": "drop", "mount": True}}, "engine": {"workers": 4}}


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"))
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.sampled_from([".svs", r"a\d+", "it's \\"])).map(tuple)
)
def test_every_value_is_read_back_as_it_was_written(value: object) -> None:
    read = tomllib.loads(f"key = {toml_value(value)}")["key"]
    assert read == (list(value) if isinstance(value, tuple) else value)


@pytest.mark.parametrize("pattern", [r"[^\x00-\x1f]{1,200}", r"S\d{2}'\w+"])
def test_expressions_survive_with_their_backslashes(pattern: str) -> None:
    assert tomllib.loads(f"key = {toml_value(pattern)}")["key"] == pattern
