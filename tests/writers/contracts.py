"""Contracts as tests need them: one slide column, and whatever else is asked for."""

from __future__ import annotations

from typing import Any

from slidekeeper.model.contract import Column, Contract

SLIDE: dict[str, Any] = {"name": "Image File", "identifies": "file-name", "action": "pseudonymize", "domain": "slide"}


def contract(*columns: dict[str, Any], **keys: Any) -> Contract:
    """A contract of :data:`SLIDE` and ``columns``."""
    return Contract.model_validate({"source": "rows", "version": 1, "files": ["*.csv"], **keys, "columns": [SLIDE, *columns]})


def column(**keys: Any) -> Column:
    """A column called X."""
    return Column.model_validate({"name": "X", **keys})


def texts(count: int, **keys: Any) -> Contract:
    """A contract of ``count`` columns of dropped text, the slide's among them."""
    return contract(*({"name": f"T {index}"} for index in range(1, count)), **keys)
