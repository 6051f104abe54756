"""What happens to an entry follows from what lies at its place, and nothing is lost unless somebody says so."""

from __future__ import annotations

import pytest

from slidekeeper.model.tree import DirectoryEntry, Entry, FileEntry, MissingEntry, SymlinkEntry
from slidekeeper.steps.restore.plan import Action, Found, Totals, decide, permissions

FILE = FileEntry(name="f", size=3, sha256="0" * 64, mode="4755", mtime=7)
FOLDER = DirectoryEntry(name="d", tree="0" * 64, mode="0755", mtime=7, files=1, size=3)
LINK = SymlinkEntry(name="l", target="elsewhere", mtime=7)
GONE = MissingEntry(name="m", reason="unreadable")


@pytest.mark.parametrize(
    ("entry", "found", "overwrite", "action"),
    [
        (FILE, None, False, Action.WRITE),
        (FILE, Found("file", 3, 7), False, Action.COMPARE),
        (FILE, Found("file", 3, 8), False, Action.CONFLICT),
        (FILE, Found("file", 3, 8), True, Action.REPLACE),
        (FILE, Found("symlink", target=b"x"), False, Action.CONFLICT),
        (FILE, Found("symlink", target=b"x"), True, Action.REPLACE),
        (FILE, Found("directory"), True, Action.CONFLICT),
        (FILE, Found("other"), True, Action.CONFLICT),
        (FOLDER, None, False, Action.WRITE),
        (FOLDER, Found("directory"), False, Action.KEEP),
        (FOLDER, Found("symlink", target=b"x"), True, Action.CONFLICT),
        (FOLDER, Found("file"), True, Action.CONFLICT),
        (LINK, Found("symlink", target=b"elsewhere"), False, Action.KEEP),
        (LINK, Found("symlink", target=b"other"), False, Action.CONFLICT),
        (GONE, None, False, Action.REPORT),
    ],
)
def test_each_case_has_one_answer(entry: Entry, found: Found | None, overwrite: bool, action: Action) -> None:
    assert decide(entry, found, overwrite) is action


def test_nobody_is_lent_the_powers_of_who_restores() -> None:
    assert permissions(FILE) == 0o755


def test_totals_count_what_has_to_be_written() -> None:
    totals = Totals().plus(FILE, Action.WRITE).plus(FILE, Action.COMPARE).plus(FOLDER, Action.WRITE).plus(GONE, Action.REPORT)
    assert totals == Totals(files=2, size=6, there=1, missing=1, to_write=3)
