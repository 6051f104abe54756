"""Finds the shared test data beside the project; it is read there and never copied into it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "shared"


def shared(*parts: str) -> Path:
    """The path of a shared file; skips the test where it is absent."""
    path = FOLDER.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"shared test data is not beside the project: {'/'.join(parts)}")
    return path
