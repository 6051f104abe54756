"""What is left out of versions, and what code folders are called in them."""

from __future__ import annotations

import pytest

from slidekeeper.settings.training import TrainingSettings
from slidekeeper.steps.snapshot.policy import exclusion, names_for


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
    assert exclusion(TrainingSettings().exclude)(path, is_folder) is left_out


@pytest.mark.parametrize(
    ("path", "is_folder", "left_out"),
    [(b"data/raw", True, True), (b"data/raw", False, False), (b"other/data/raw", True, False), (b"cache/x.tmp", False, True)],
)
def test_a_pattern_with_a_slash_inside_is_a_path_from_the_top(path: bytes, is_folder: bool, left_out: bool) -> None:
    assert exclusion(["data/raw/", "/cache/*.tmp"])(path, is_folder) is left_out


def test_without_patterns_everything_is_kept() -> None:
    assert not exclusion([])(b"anything", True)


def test_code_folders_of_one_name_are_told_apart() -> None:
    assert names_for(["/a/src", "/b/src/", "lib", "/"]) == ["src", "src-2", "lib", "code"]
