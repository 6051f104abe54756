"""Paths in SQL: ``COPY`` and ``ATTACH`` take no parameters."""

from __future__ import annotations

from pathlib import Path


def quoted(path: Path) -> str:
    """The path as it stands between single quotes."""
    return str(path).replace("'", "''")
