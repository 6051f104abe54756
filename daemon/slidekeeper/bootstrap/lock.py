"""One daemon per state: a lock that the kernel lets go of when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slidekeeper.errors import Refused


@contextmanager
def state_lock(state: Path) -> Iterator[None]:
    """Hold the state's lock.

    Raises:
        Refused: another daemon holds it.
    """
    file = os.open(state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise Refused(
            "already-running", "another daemon works on this state", "Stop it first, or give this one its own [site] state"
        ) from None
    try:
        yield
    finally:
        os.close(file)
