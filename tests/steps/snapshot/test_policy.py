"""What code folders are called in a version."""

from __future__ import annotations

from slidekeeper.steps.snapshot.policy import names_for


def test_code_folders_of_one_name_are_told_apart() -> None:
    assert names_for(["/a/src", "/b/src/", "lib", "/"]) == ["src", "src-2", "lib", "code"]
