"""Two versions are compared by their trees: what is equal is not opened, what was moved is told from what came and went."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.model.tree import DirectoryEntry, Entry, FileEntry, SymlinkEntry
from slidekeeper.ports.snapshots import Listed
from slidekeeper.steps.versions import diff
from slidekeeper.steps.versions.diff import Difference, Kind, compare


class Trees:
    """A store of trees in memory, that counts how often one is opened."""

    def __init__(self) -> None:
        self._trees: dict[str, list[Entry]] = {}
        self.opened: list[str] = []

    def add(self, content: Mapping[str, object], name: str = "root") -> DirectoryEntry:
        """A directory: names and texts of files, or further directories."""
        entries = [self._entry(name, inner) for name, inner in sorted(content.items())]
        tree = hashlib.sha256(repr(entries).encode()).hexdigest()
        self._trees[tree] = entries
        files = sum(entry.files if isinstance(entry, DirectoryEntry) else 1 for entry in entries)
        return DirectoryEntry(name=name, tree=tree, mode="0755", mtime=0, files=files, size=0)

    def children(self, tree: str) -> Iterator[Listed]:
        self.opened.append(tree)
        return iter([Listed(entry.raw_name, entry) for entry in self._trees[tree]])

    def compare(self, before: Mapping[str, object], after: Mapping[str, object]) -> list[Difference]:
        return list(compare(self.children, self.add(before).tree, self.add(after).tree))

    def _entry(self, name: str, inner: object) -> Entry:
        if isinstance(inner, Mapping):
            return self.add(inner, name)
        if isinstance(inner, tuple):
            return SymlinkEntry(name=name, target=str(inner[0]), mtime=0)
        text = str(inner)
        return FileEntry(name=name, size=len(text), sha256=hashlib.sha256(text.encode()).hexdigest(), mode="0644", mtime=0)


def told(differences: list[Difference]) -> list[str]:
    return [f"{d.kind} {d.path.decode()}" + (f" from {d.origin.decode()}" if d.origin else "") for d in differences]


def test_what_came_went_and_changed_is_told_by_path() -> None:
    before = {"a": "1", "b": "2", "d": {"x": "3", "y": "4"}}
    after = {"b": "two", "c": "5", "d": {"x": "3", "z": {"new": "6"}}}
    assert told(Trees().compare(before, after)) == ["removed a", "changed b", "added c", "removed d/y", "added d/z", "added d/z/new"]


def test_equal_directories_are_not_opened() -> None:
    trees = Trees()
    same = {"many": "files"}
    opened = trees.add(same, "same").tree
    assert told(trees.compare({"same": same, "a": "1"}, {"same": same, "a": "2"})) == ["changed a"]
    assert opened not in trees.opened


def test_moved_files_and_directories_name_their_origin() -> None:
    weights = {"w1": "lots", "w2": "of"}
    before = {"old.pt": "model", "weights": weights}
    after = {"final": {"model.pt": "model"}, "weights-2": weights}
    assert told(Trees().compare(before, after)) == [
        "added final",
        "moved final/model.pt from old.pt",
        "moved weights-2 from weights",
    ]


def test_a_directory_that_was_unfolded_is_not_moved_as_a_whole_too() -> None:
    assert told(Trees().compare({"b": {"a": {"x": ""}}}, {"a": {"x": ""}})) == [
        "added a",
        "added a/x",
        "removed b",
        "removed b/a",
        "removed b/a/x",
    ]


def test_empty_files_are_no_ones_origin() -> None:
    assert told(Trees().compare({"a": ""}, {"b": ""})) == ["removed a", "added b"]


def test_a_file_that_became_a_directory_or_a_link() -> None:
    before = {"x": "1", "y": "2"}
    after = {"x": {"in": "3"}, "y": ("target",)}
    assert told(Trees().compare(before, after)) == ["removed x", "added x", "added x/in", "changed y"]


def test_too_many_differences_are_not_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff, "PAIRED", 3)
    before = {f"a{i}": str(i + 100) for i in range(3)}
    after = {f"b{i}": str(i + 100) for i in range(3)}
    assert {d.kind for d in Trees().compare(before, after)} == {Kind.ADDED, Kind.REMOVED}


CONTENT = st.recursive(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["", "1", "2", "3"]), max_size=4),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner | st.sampled_from(["", "1", "2"]), max_size=4),
    max_leaves=12,
)


def flat(content: Mapping[str, object], under: str = "") -> dict[str, object]:
    """Every path and what it is."""
    found: dict[str, object] = {}
    for name, inner in content.items():
        found[under + name] = {} if isinstance(inner, Mapping) else inner
        if isinstance(inner, Mapping):
            found |= flat(inner, f"{under}{name}/")
    return found


@settings(deadline=None)
@given(CONTENT, CONTENT)
def test_applying_the_differences_to_one_gives_the_other(before: Mapping[str, object], after: Mapping[str, object]) -> None:
    files_before = {path for path, inner in flat(before).items() if inner != {}}
    files_after = {path for path, inner in flat(after).items() if inner != {}}
    result = set(files_before)
    for difference in Trees().compare(before, after):
        path = difference.path.decode()
        if isinstance(difference.after or difference.before, DirectoryEntry) and difference.kind is not Kind.MOVED:
            continue
        match difference.kind:
            case Kind.ADDED:
                result.add(path)
            case Kind.REMOVED:
                result.remove(path)
            case Kind.MOVED:
                origin = difference.origin.decode()
                moved = [old for old in files_before if old == origin or old.startswith(f"{origin}/")]
                result -= set(moved)
                result |= {path + old.removeprefix(origin) for old in moved}
    assert result == files_after


@settings(deadline=None)
@given(CONTENT)
def test_a_version_does_not_differ_from_itself(content: Mapping[str, object]) -> None:
    assert Trees().compare(content, content) == []
