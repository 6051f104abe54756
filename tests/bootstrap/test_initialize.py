"""What a new site consists of."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from slidekeeper.bootstrap.initialize import initialize_site
from slidekeeper.errors import Refused
from slidekeeper.settings.loader import load_settings


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    """Every path below ``folder`` with its mode."""
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.stat().st_mode)) for path in [folder, *folder.rglob("*")]}


@pytest.mark.usefixtures("_umask")
def test_a_new_site_has_its_folders_and_key_with_permissions_that_no_umask_changes(tmp_path: Path) -> None:
    created = initialize_site(tmp_path / "deep" / "site")
    site = tmp_path / "deep" / "site"
    assert modes(site) == {
        ".": "0o750",
        "slidekeeper.toml": "0o640",
        "drop": "0o700",
        "records": "0o700",
        "reports": "0o700",
        "contracts": "0o750",
        "contracts/imagery.toml": "0o640",
        "contracts/patients.toml": "0o640",
        "contracts/diagnoses.toml": "0o640",
        "bucket": "0o750",
        "flash": "0o750",
        "runs": "0o750",
        "state": "0o750",
        "state/identified": "0o700",
        "keys": "0o700",
        "keys/linking.key": "0o600",
    }
    assert set(created) == set(site.rglob("*"))
    assert (site / "keys" / "linking.key").stat().st_size == 32


def test_the_new_settings_load_and_name_the_folders_that_were_made(tmp_path: Path) -> None:
    initialize_site(tmp_path)
    settings = load_settings(tmp_path / "slidekeeper.toml", environ={})
    assert all(path.is_dir() for path in settings.trees.values())
    assert settings.site.key.is_file()
    assert set(settings.drop) == {"scanner"}


def test_a_folder_that_holds_a_site_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "slidekeeper.toml").write_text("mine")
    with pytest.raises(Refused, match="site-exists"):
        initialize_site(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["slidekeeper.toml"]
    assert (tmp_path / "slidekeeper.toml").read_text() == "mine"


def test_a_key_that_is_there_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "linking.key").write_bytes(b"k" * 32)
    created = initialize_site(tmp_path)
    assert (tmp_path / "keys" / "linking.key").read_bytes() == b"k" * 32
    assert tmp_path / "keys" / "linking.key" not in created


def test_two_sites_have_different_keys(tmp_path: Path) -> None:
    for name in ("one", "other"):
        initialize_site(tmp_path / name)
    assert (tmp_path / "one/keys/linking.key").read_bytes() != (tmp_path / "other/keys/linking.key").read_bytes()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="cannot-initialize"):
        initialize_site(tmp_path / "file" / "site")
