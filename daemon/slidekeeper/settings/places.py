"""Which folders may lie where. Identified files inside a published tree would be a leak that no later check can mend."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple


class Conflict(NamedTuple):
    """Two keys that cannot both be as they are, and why."""

    keys: tuple[str, str]
    text: str


def conflicts(trees: Mapping[str, Path], guarded: Mapping[str, Path]) -> list[Conflict]:
    """What is wrong with where things lie.

    Args:
        trees: folders by dotted key, of which none may hold another.
        guarded: files by dotted key that may lie in no tree but ``site.state``.

    Symlinks are followed, so that no detour hides an overlap.
    """
    real_trees = {key: _real(path) for key, path in trees.items()}
    real_files = {key: _real(path) for key, path in guarded.items()}
    return [*_overlaps(real_trees), *_exposed(real_files, real_trees)]


def _overlaps(trees: Mapping[str, Path]) -> Iterator[Conflict]:
    for (one, one_path), (other, other_path) in combinations(trees.items(), 2):
        if one_path == other_path:
            yield Conflict((one, other), f"{one} and {other} are the same folder; each needs its own")
        elif one_path.is_relative_to(other_path):
            yield Conflict((one, other), f"{one} lies inside {other}; it must lie outside")
        elif other_path.is_relative_to(one_path):
            yield Conflict((one, other), f"{other} lies inside {one}; it must lie outside")


def _exposed(files: Mapping[str, Path], trees: Mapping[str, Path]) -> Iterator[Conflict]:
    for key, path in files.items():
        for tree, root in trees.items():
            if tree != "site.state" and path.is_relative_to(root):
                yield Conflict((key, tree), f"{key} lies inside {tree}; it must lie outside")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
