"""What is left out of versions is told by name, by path, or by what kind of thing it is."""

from __future__ import annotations

import pytest

from slidekeeper.model.excludes import Excludes
from slidekeeper.settings.training import TrainingSettings

EXCLUDES = Excludes(["*.pyc", ".git/", "data/raw", "/top/*.tmp"])


@pytest.mark.parametrize(
    ("path", "is_folder", "left_out"),
    [
        (b"a/b.pyc", False, True),
        (b"b.pyc", True, True),
        (b"a/.git", True, True),
        (b"a/.git", False, False),
        (b"data/raw", True, True),
        (b"deep/data/raw", True, False),
        (b"top/x.tmp", False, True),
        (b"x.tmp", False, False),
        (b"\xff.pyc", False, True),
    ],
)
def test_a_pattern_fits_names_paths_or_folders(path: bytes, is_folder: bool, left_out: bool) -> None:
    assert EXCLUDES(path, is_folder) is left_out


def test_no_pattern_leaves_nothing_out() -> None:
    assert not Excludes([])(b"anything", False)


@pytest.mark.parametrize(
    ("path", "is_folder", "left_out"),
    [
        (b"__pycache__", True, True),
        (b"src/deep/__pycache__", True, True),
        (b"__pycache__", False, False),
        (b"src/model.pyc", False, True),
        (b"src/model.py", False, False),
        (b".git", True, True),
        (b".gitignore", False, False),
        (b"model.pyc\n", False, False),
        (b"\xff\xfe.pyc", False, True),
    ],
)
def test_the_default_leaves_out_what_programs_make_of_code(path: bytes, is_folder: bool, left_out: bool) -> None:
    assert Excludes(TrainingSettings().exclude)(path, is_folder) is left_out


@pytest.mark.parametrize(
    ("path", "is_folder", "left_out"),
    [(b"data/raw", True, True), (b"data/raw", False, False), (b"other/data/raw", True, False), (b"cache/x.tmp", False, True)],
)
def test_a_pattern_with_a_slash_inside_is_a_path_from_the_top(path: bytes, is_folder: bool, left_out: bool) -> None:
    assert Excludes(["data/raw/", "/cache/*.tmp"])(path, is_folder) is left_out


def test_without_patterns_everything_is_kept() -> None:
    assert not Excludes([])(b"anything", True)
