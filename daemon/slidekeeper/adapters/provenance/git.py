"""Asks git about a folder of source code that may be hostile: nothing that its repository configures is ever run.

A repository's own configuration names programs (hooks, fsmonitor, external diff, textconv, filters, ssh). The service must not run them,
so each that git would use here is switched off, the user's and the system's configuration are not read, and nothing is written.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Timer

from slidekeeper.ports.provenance import CodeState

TIMEOUT_SECONDS = 20.0
DIFF_BYTES = 4_000_000
FILES_NAMED = 1000
SAFE = (
    "-c", "core.fsmonitor=false",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.attributesFile=/dev/null",
    "-c", "core.pager=cat",
    "-c", "core.sshCommand=false",
    "-c", "diff.external=",
    "-c", "submodule.recurse=false",
    "-c", "protocol.allow=never",
)  # fmt: skip
ENVIRONMENT = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
}
PROGRAMS = r"^filter\..*\.(clean|smudge|process)$"
"""Settings that make git run a program on each file that it compares."""
DIFF = ("diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=all")


class GitTree:
    """The working tree that holds a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._top = next((above for above in (folder, *folder.parents) if os.path.lexists(above / ".git")), None)

    def state(self) -> CodeState:
        """Commit, branch and what differs; or why that cannot be told."""
        if self._top is None:
            return CodeState(trouble="no-git")
        if not stat.S_ISDIR((self._top / ".git").lstat().st_mode):
            return CodeState(trouble="git-elsewhere")
        try:
            return self._look()
        except FileNotFoundError:
            return CodeState(trouble="git-missing")
        except subprocess.TimeoutExpired:
            return CodeState(trouble="git-timeout")

    def _look(self) -> CodeState:
        commit = self._ask("rev-parse", "--verify", "HEAD")[0].strip()
        if not commit:
            return CodeState(trouble="git-failed")
        branch = self._ask("symbolic-ref", "--short", "-q", "HEAD")[0].strip()
        if self._ask("config", "--includes", "--name-only", "--get-regexp", PROGRAMS)[0]:
            return CodeState(commit, branch, trouble="git-filters")
        dirty, truncated = self._ask(*DIFF, "--", str(self._folder))
        untracked, _ = self._ask("ls-files", "--others", "--exclude-standard", "-z", "--", str(self._folder))
        names = tuple(name for name in untracked.split("\0") if name)
        return CodeState(commit, branch, dirty, names[:FILES_NAMED], truncated or len(names) > FILES_NAMED)

    def _ask(self, *question: str) -> tuple[str, bool]:
        """Git's answer, empty where it has none, and whether it was cut off.

        Raises:
            FileNotFoundError: there is no git.
            TimeoutExpired: it took too long.
        """
        # Said here, neither place is looked up in the repository, which could name any other folder that the service may read.
        places = (f"--git-dir={self._top}/.git", f"--work-tree={self._top}", "-C", str(self._top))
        command = ["git", "--no-pager", "--no-optional-locks", *SAFE, *places, *question]
        with subprocess.Popen(  # noqa: S603 - no shell, fixed program
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=ENVIRONMENT
        ) as process:
            return _answer(process, command)


def _answer(process: subprocess.Popen[bytes], command: Sequence[str]) -> tuple[str, bool]:
    """What a process says, up to a limit and within its time."""
    if process.stdout is None:
        raise AssertionError("its output was to be read")
    late = Timer(TIMEOUT_SECONDS, process.kill)
    late.start()
    try:
        said = process.stdout.read(DIFF_BYTES + 1)
        truncated = len(said) > DIFF_BYTES
        if truncated:
            process.kill()
        code = process.wait()
    finally:
        is_late = not late.is_alive()
        late.cancel()
    if is_late:
        raise subprocess.TimeoutExpired(command, TIMEOUT_SECONDS)
    return said[:DIFF_BYTES].decode("utf-8", "replace") if code == 0 or truncated else "", truncated
