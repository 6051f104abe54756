"""Lays down training runs: folders as a training job would write them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILES: Mapping[str, bytes] = {
    "model.bin": b"weights" * 20_000,
    "log.txt": b"epoch 1\n",
    "plots/loss.svg": b"<svg/>",
    "plots/deep/er.txt": b"x",
}


def write_run(root: Path, project: str = "gleason", name: str = "run-1", files: Mapping[str, bytes] = FILES) -> Path:
    """Write a run that is being trained; returns its folder."""
    folder = root / project / name
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def write_marker(folder: Path, said: Mapping[str, Any] | bytes = b"") -> Path:
    """Write the done-marker."""
    marker = folder / "DONE"
    marker.write_bytes(said if isinstance(said, bytes) else json.dumps(said).encode())
    return marker


def make_older(path: Path, seconds: float) -> None:
    """Set a file's or folder's modification time back."""
    when = time.time() - seconds
    os.utime(path, (when, when), follow_symlinks=False)
