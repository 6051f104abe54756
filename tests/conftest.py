"""What all tests have in common."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own SLIDEKEEPER_* variables must not reach a test, nor the daemons that tests start."""
    for name in [name for name in os.environ if name.startswith("SLIDEKEEPER_")]:
        monkeypatch.delenv(name)
