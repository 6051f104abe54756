"""For tests of permissions, which root does not feel: acting as somebody else for a while."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount and become somebody else")


def let_enter(folder: Path) -> None:
    """Everybody may enter a test's folder: pytest keeps those above it for itself, however many they are."""
    for closed in (folder, *folder.parents):
        if not closed.stat().st_mode & stat.S_IXOTH:
            closed.chmod(0o755)


@contextmanager
def somebody_else(root: Path) -> Iterator[None]:
    """Act as a user without rights, who may enter ``root``."""
    let_enter(root)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
