"""``anonymize`` without a daemon: the same job, its result handed over in a folder or file of the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def anonymize_once(source: Path, target: Path) -> Mapping[str, Any]:
    raise NotImplementedError


def explain_once(source: Path) -> Sequence[Mapping[str, Any]]:
    raise NotImplementedError
