"""Where a run came from: what can be found out about its code, its data and its environment beside what is copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class CodeState:
    """What git says of a folder of source code."""

    commit: str = ""
    """The commit that is checked out; empty where ``trouble`` says why."""
    branch: str = ""
    dirty: str = ""
    """What differs from the commit, as a patch; binary files are named only."""
    untracked: tuple[str, ...] = ()
    """Files that git does not know, relative to its working tree."""
    truncated: bool = False
    """The difference was longer than is kept."""
    trouble: str = ""
    """``no-git``, ``git-missing``, ``git-timeout``, ``git-failed``; ``git-elsewhere``, the repository lies outside its working tree;
    ``git-filters``, it would have git run programs."""


@dataclass(frozen=True, slots=True)
class Origins:
    """The circumstances of a run."""

    host: str
    user: str
    """Owner of the run's folder, by name where it has one."""
    locks: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each file that fixes an environment (``requirements.txt``, ``uv.lock`` …) by its path in the version."""


class Provenance(Protocol):
    """Finds out where a run came from. Synchronous: called in threads. What cannot be found out is said, never an error."""

    def code(self, folder: str) -> CodeState:
        """The state of the git tree that holds ``folder``."""
        ...

    def origins(self, folder: str, places: Mapping[str, str]) -> Origins:
        """Host, user, and environment locks; ``places`` maps names in the version to the folders to look in."""
        ...

    def staging(self, name: str) -> Mapping[str, Any] | None:
        """The manifest of a staging, or None where there is none, or no readable one."""
        ...

    def real(self, folder: str) -> str:
        """A folder's absolute path without symbolic links."""
        ...
