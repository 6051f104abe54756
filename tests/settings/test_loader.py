"""Settings: what wins over what, and how wrong ones are told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pydantic import ValidationError

from slidekeeper.errors import SettingsError
from slidekeeper.settings.loader import Settings, load_settings

DROP = '[drop.scanner]\npath = "drop"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the settings file lies."""
    return tmp_path / "slidekeeper.toml"


def load(file: Path, text: str = "", environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Write and load a settings file; ``overrides`` with ``__`` for the dot."""
    file.write_text(text)
    return load_settings(file, environ=environ or {}, overrides={key.replace("__", "."): value for key, value in overrides.items()})


def problems(file: Path, text: str = "", environ: Mapping[str, str] | None = None, **overrides: Any) -> list[str]:
    """The problems that loading tells."""
    with pytest.raises(SettingsError) as refused:
        load(file, text, environ, **overrides)
    assert refused.value.reason == "wrong-settings"
    return refused.value.detail.splitlines()


def test_an_empty_file_gives_the_defaults(file: Path) -> None:
    settings = load(file)
    assert settings.engine.workers == 4
    assert settings.drop == {}
    assert settings.file == file


def test_the_later_source_wins_file_then_dotenv_then_environment_then_command_line(file: Path) -> None:
    text = "[engine]\nworkers = 3\nattempts = 3\nretry_seconds = 3\nprobe_seconds = 3\n"
    (file.parent / ".env").write_text(
        "SLIDEKEEPER_ENGINE__ATTEMPTS=4\nSLIDEKEEPER_ENGINE__RETRY_SECONDS=4\nSLIDEKEEPER_ENGINE__PROBE_SECONDS=4\nOTHER=1\n"
    )
    environ = {"SLIDEKEEPER_ENGINE__RETRY_SECONDS": "5", "SLIDEKEEPER_ENGINE__PROBE_SECONDS": "5", "HOME": "/root"}
    engine = load(file, text, environ, engine__probe_seconds="6").engine
    assert (engine.workers, engine.attempts, engine.retry_seconds, engine.probe_seconds) == (3, 4, 5, 6)


def test_the_environment_changes_one_key_of_a_drop_folder_and_keeps_the_others(file: Path) -> None:
    environ = {"SLIDEKEEPER_DROP__SCANNER__SETTLE_SECONDS": "0.3", "SLIDEKEEPER_DROP__SCANNER__IMAGE_EXTENSIONS": '[".svs"]'}
    drop = load(file, DROP + "ready = 'notice'\n", environ).drop["scanner"]
    assert (drop.ready, drop.settle_seconds, drop.image_extensions) == ("notice", 0.3, (".svs",))


def test_settings_are_frozen_all_the_way_down(file: Path) -> None:
    settings = load(file, DROP)
    for section, key in ((settings, "engine"), (settings.engine, "workers"), (settings.drop["scanner"], "path")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, None)


def test_relative_paths_are_taken_from_the_files_folder_in_every_source(file: Path, tmp_path: Path) -> None:
    environ = {"SLIDEKEEPER_BUCKET__PATH": "elsewhere"}
    settings = load(file, DROP + "[training]\nroots = ['a', '/b']\n", environ, records__path="rows")
    assert settings.site.state == tmp_path / "state"
    assert settings.drop["scanner"].path == tmp_path / "drop"
    assert settings.bucket.path == tmp_path / "elsewhere"
    assert settings.records.path == tmp_path / "rows"
    assert settings.training.roots == (tmp_path / "a", Path("/b"))


def test_without_a_file_paths_are_taken_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, environ={})
    assert settings.site.state == tmp_path / "state"
    assert settings.file is None


def test_every_problem_is_told_at_once_with_its_source_its_key_and_what_is_allowed(file: Path) -> None:
    (file.parent / ".env").write_text("SLIDEKEEPER_BUCKETS=2\n")
    told = problems(
        file,
        "[log]\nlevel = 'loud'\ncolour = 'red'\n[drop.a]\n[nonsense]\nkey = 1\n",
        {"SLIDEKEEPER_ENGINE__WORKERS": "many", "SLIDEKEEPER_SITE_NAME": "x"},
        engine__atempts=1,
    )
    here = str(file)
    expected = {
        (here, "drop.a.path", "is missing"),
        (here, "log.level", "Input should be 'debug', 'info', 'warning' or 'error'"),
        (here, "log.colour", "unknown key; known here: format, level"),
        (
            "environment (SLIDEKEEPER_ENGINE__WORKERS)",
            "engine.workers",
            "Input should be a valid integer, unable to parse string as an integer",
        ),
        ("command line", "engine.atempts", "unknown key; known here: attempts, probe_seconds, retry_seconds, stop_seconds, workers"),
    }
    roots = ", ".join(sorted(Settings.model_fields))
    expected |= {
        (origin, key, f"unknown key; known here: {roots}")
        for origin, key in (
            (here, "nonsense"),
            ("environment (SLIDEKEEPER_SITE_NAME)", "site_name"),
            (f"{file.parent}/.env (SLIDEKEEPER_BUCKETS)", "buckets"),
        )
    }
    assert {tuple(line.split(": ", 2)) for line in told} == expected


def test_broken_toml_is_told_with_its_line(file: Path) -> None:
    assert problems(file, "[site]\nname = = 'x'\n") == [f"{file}: no TOML: Invalid value (at line 2, column 8)"]


def test_a_file_that_is_missing_or_a_folder_is_told(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none.toml", "ENOENT"), (tmp_path, "EISDIR")):
        with pytest.raises(SettingsError, match=code):
            load_settings(path, environ={})


def test_a_list_in_the_environment_must_be_json(file: Path) -> None:
    (told,) = problems(file, DROP, {"SLIDEKEEPER_TRAINING__ROOTS": "a,b"})
    assert "training" in told
    assert "JSON" in told


@pytest.mark.parametrize("name", ["Scanner", "a b", "a.b", "-a", "a/b", ""])
def test_names_of_drop_folders_are_plain(file: Path, name: str) -> None:
    (told,) = problems(file, f"[drop.'{name}']\npath = 'drop'\n")
    assert told == f"{file}: drop.{name}: a name has only a-z, 0-9 and -, and begins with a letter or digit"


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("barcode_pattern", "'['", "no regular expression: unterminated character set"),
        ("image_extensions", "['svs']", "String should match pattern"),
        ("image_extensions", "['.SVS']", "String should match pattern"),
        ("sentinel", "'../mounted'", "String should match pattern"),
        ("settle_seconds", "0", "Input should be greater than 0"),
        ("after_ingest", "'remove'", "Input should be 'keep' or 'delete'"),
    ],
)
def test_values_that_cannot_work_are_refused(file: Path, key: str, value: str, wrong: str) -> None:
    (told,) = problems(file, f"{DROP}{key} = {value}\n")
    assert told.startswith(f"{file}: drop.scanner.{key}")
    assert wrong in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[bucket]\npath = 'drop/out'\n", "bucket.path lies inside drop.scanner.path; it must lie outside"),
        ("[bucket]\npath = '.'\n", "drop.scanner.path lies inside bucket.path; it must lie outside"),
        ("[site]\nstate = 'bucket/state'\n", "site.state lies inside bucket.path; it must lie outside"),
        ("[records]\npath = 'x/../drop'\n", "drop.scanner.path and records.path are the same folder; each needs its own"),
        ("[tier.flash]\npath = 'state/flash'\n", "tier.flash.path lies inside site.state; it must lie outside"),
        ("[drop.other]\npath = 'drop/other'\n", "drop.other.path lies inside drop.scanner.path; it must lie outside"),
        ("[site]\nkey = 'bucket/key'\n", "site.key lies inside bucket.path; it must lie outside"),
        ("[api]\nsocket = 'drop/door'\n", "api.socket lies inside drop.scanner.path; it must lie outside"),
        ("[bucket]\npath = 'detour/out'\n", "bucket.path lies inside drop.scanner.path; it must lie outside"),
    ],
)
def test_folders_must_not_lie_inside_one_another(file: Path, text: str, told: str) -> None:
    (file.parent / "drop").mkdir()
    (file.parent / "detour").symlink_to("drop")
    assert f"{file}: {told}" in problems(file, DROP + text)


@pytest.mark.parametrize(
    ("environment", "overrides", "origin"),
    [
        ({"SLIDEKEEPER_BUCKET__PATH": "drop/out"}, {}, "environment (SLIDEKEEPER_BUCKET__PATH)"),
        ({"SLIDEKEEPER_DROP__SCANNER__PATH": "."}, {}, "environment (SLIDEKEEPER_DROP__SCANNER__PATH)"),
        ({"SLIDEKEEPER_BUCKET__PATH": "elsewhere"}, {"bucket__path": "drop/out"}, "command line"),
        ({}, {"site__key": "bucket/key"}, "command line"),
        ({"SLIDEKEEPER_TRAINING__ROOTS": '["drop/runs"]'}, {}, "environment (SLIDEKEEPER_TRAINING__ROOTS__0)"),
    ],
)
def test_an_overlap_is_told_where_it_was_written_last(
    file: Path, environment: dict[str, str], overrides: dict[str, str], origin: str
) -> None:
    assert {told.split(": ")[0] for told in problems(file, DROP, environment, **overrides)} == {origin}


@effort(max_examples=60)
@given(
    st.recursive(st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
)
def test_any_value_anywhere_is_accepted_or_refused_by_key(value: Any) -> None:
    for key in Settings.model_fields:
        try:
            load_settings(None, environ={}, overrides={key: value})
        except SettingsError as refused:
            assert all(line.startswith(("command line: ", "settings: ")) for line in refused.detail.splitlines())
