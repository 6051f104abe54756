"""What all tests have in common: no settings from outside, inputs that are drawn alike, and who runs beside whom."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest

HERE = Path(__file__).parent
ALIKE, FREELY = "alike", "freely"
hypothesis.settings.register_profile(ALIKE, deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile(FREELY, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile(ALIKE)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own SLIDEKEEPER_* variables must not reach a test, nor the daemons that tests start."""
    for name in [name for name in os.environ if name.startswith("SLIDEKEEPER_")]:
        monkeypatch.delenv(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick first; last those that must be alone, when they hold up nobody."""
    items.sort(key=lambda item: (is_alone(item), is_system(item)))


def is_alone(item: pytest.Item) -> bool:
    """Whether the test measures time, and tells nothing beside another."""
    return item.get_closest_marker("alone") is not None


def is_system(item: pytest.Item) -> bool:
    """Whether the test starts daemons, and takes seconds."""
    return (HERE / "system") in item.path.parents


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Where tests run two at a time, one that must be alone waits for the other, and holds up the next."""
    with turn(fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH):
        return (yield)


@contextmanager
def turn(kind: int) -> Iterator[None]:
    """Hold a lock on this folder, which processes share; whoever waits for it holds the door, or those that come later would go first."""
    door, floor = (os.open(place, os.O_RDONLY) for place in (HERE.parent, HERE))
    try:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(floor, kind)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
    finally:
        for lock in (floor, door):
            fcntl.flock(lock, fcntl.LOCK_UN)  # a process that was forked meanwhile may have inherited it
            os.close(lock)
