"""Finds out where a run came from, on the machine that has its files."""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from slidekeeper.adapters.provenance.git import GitTree
from slidekeeper.ports.provenance import CodeState, Origins

LOCKS = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "pylock.toml",
    "requirements.txt",
    "requirements.lock",
    "conda-lock.yml",
    "environment.yml",
    "pixi.lock",
    "pip-freeze.txt",
    ".python-version",
)
LARGEST_LOCK_BYTES = 16_000_000
LARGEST_MANIFEST_BYTES = 256_000_000


class PosixProvenance:
    """Implements :class:`slidekeeper.ports.provenance.Provenance`; ``tiers`` are the folders that hold stagings."""

    def __init__(self, tiers: Sequence[Path]) -> None:
        self._tiers = tiers

    def code(self, folder: str) -> CodeState:
        """What git says of a folder."""
        return GitTree(Path(folder)).state()

    def origins(self, folder: str, places: Mapping[str, str]) -> Origins:
        """Host, user and environment locks."""
        locks = {
            f"{place}/{name}": digest
            for place, where in sorted(places.items())
            for name in LOCKS
            if (data := _read(Path(where, name), LARGEST_LOCK_BYTES)) is not None and (digest := hashlib.sha256(data).hexdigest())
        }
        return Origins(socket.gethostname(), _owner(folder), locks)

    def staging(self, name: str) -> Mapping[str, Any] | None:
        """The manifest of a staging, from the first tier that has one."""
        if "/" in name or name in ("", ".", ".."):
            return None
        for tier in self._tiers:
            data = _read(tier / name / "manifest.json", LARGEST_MANIFEST_BYTES)
            with suppress(ValueError):
                manifest = json.loads(data or b"")
                if isinstance(manifest, dict):
                    return manifest
        return None

    def real(self, folder: str) -> str:
        """The folder's path without symbolic links."""
        return os.path.realpath(folder)


def _owner(folder: str) -> str:
    try:
        owner = Path(folder).stat().st_uid
    except OSError:
        return ""
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)


def _read(path: Path, limit: int) -> bytes | None:
    """A regular file's bytes, or None: what a run's user put there may be anything."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        with suppress(OSError):
            if stat.S_ISREG(status.st_mode) and status.st_size <= limit:
                return stream.read(limit)
    return None
