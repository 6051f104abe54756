"""What tests of intake share: sites and a bench, pauses that are short, and what the daemon does for its whole process."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from slidekeeper.adapters.drop.index import SqliteKnownFiles
from slidekeeper.adapters.drop.lease import ignore_lease_signals
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.steps.intake import tracker, watcher
from steps.intake.drop_site import DropSite, drop_site
from steps.intake.tracker_bench import Bench


@pytest.fixture(autouse=True)
def _lease_signals_are_ignored() -> Iterator[None]:
    """A writer that opens a file in the moment in which a lease is asked for must not end the tests."""
    before = signal.getsignal(signal.SIGIO)
    ignore_lease_signals()
    yield
    signal.signal(signal.SIGIO, before)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "UNAVAILABLE_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(watcher, "AWAY_PAUSE_SECONDS", 0.02)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[DropSite]:
    """A site whose packs settle when they are quiet."""
    async with drop_site(tmp_path) as site:
        yield site


@pytest.fixture
async def noticed(tmp_path: Path) -> AsyncIterator[DropSite]:
    """A site whose packs wait for a notice."""
    async with drop_site(tmp_path, ready="notice") as site:
        yield site


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A tracker of an empty drop folder."""
    (tmp_path / "drop").mkdir()
    known = SqliteKnownFiles(tmp_path / "intake.sqlite")
    yield Bench(tmp_path / "drop", known, PosixDrop("scanner", tmp_path / "drop"))
    await known.close()
