"""What is left out of versions is told by name, by path, or by what kind of thing it is."""

from __future__ import annotations

import pytest

from slidekeeper.model.excludes import Excludes

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
