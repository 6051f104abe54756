"""What the daemon does for its whole process, and tests of intake need too."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from slidekeeper.adapters.drop.lease import ignore_lease_signals


@pytest.fixture(autouse=True)
def _lease_signals_are_ignored() -> Iterator[None]:
    """A writer that opens a file in the moment in which a lease is asked for must not end the tests."""
    before = signal.getsignal(signal.SIGIO)
    ignore_lease_signals()
    yield
    signal.signal(signal.SIGIO, before)
