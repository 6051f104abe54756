"""What a killed daemon left half done is swept at the next start, and only that."""

from __future__ import annotations

from pathlib import Path

from slidekeeper.bootstrap.initialize import initialize_site
from slidekeeper.bootstrap.places import Layout, probe_folder, sweep_leftovers
from slidekeeper.settings.loader import load_settings

LEFTOVERS = ("bucket/.probe-17", "state/.probe-123456", "state/published/.slides.parquet.part")
OTHERS = (
    "bucket/.probe-x",
    "bucket/probe-17",
    "bucket/slides.part",
    "state/.probe-17.old",
    "state/published/slides.parquet",
    "drop/.probe-17",
)


def make_layout(folder: Path) -> Layout:
    """The layout of a new site."""
    initialize_site(folder)
    (folder / "state" / "published").mkdir()
    return Layout(load_settings(folder / "slidekeeper.toml", environ={}))


def test_probes_and_half_publications_are_swept_and_nothing_else(tmp_path: Path) -> None:
    layout = make_layout(tmp_path)
    for name in (*LEFTOVERS, *OTHERS):
        (tmp_path / name).write_text("")
    (tmp_path / "bucket" / ".probe-18").mkdir()
    (tmp_path / "bucket" / ".probe-19").symlink_to(tmp_path / "slidekeeper.toml")
    assert sweep_leftovers(layout) == len(LEFTOVERS)
    assert not [name for name in LEFTOVERS if (tmp_path / name).exists()]
    assert all((tmp_path / name).exists() for name in (*OTHERS, "bucket/.probe-18", "bucket/.probe-19"))


def test_places_that_are_away_are_left_for_another_start(tmp_path: Path) -> None:
    layout = make_layout(tmp_path)
    (tmp_path / "bucket").rmdir()
    assert sweep_leftovers(layout) == 0


def test_a_probe_leaves_nothing(tmp_path: Path) -> None:
    probe_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
