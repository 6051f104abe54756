"""Makes what is stored hard to lose: files without any write bit in folders without any, and the immutable attribute on top.

Modes hinder accidents of everybody but root; the attribute hinders root too, as long as the process lacks CAP_LINUX_IMMUTABLE.
A folder can be written only while something is added to it. Two processes that add may close a folder under each other's hands:
who finds it closed opens it again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

from slidekeeper.adapters.snapshots.kernel import APPEND_ONLY, IMMUTABLE, flags_of, set_flags
from slidekeeper.adapters.snapshots.layout import FOLDER_MODE, VERSIONS, WRITABLE_FOLDER_MODE

TRIES = 100

Protection: TypeAlias = Literal["empty", "unsupported", "read-only", "immutable"]


class Sealing:
    """Opens and closes folders of the store, and seals its files."""

    def __init__(self, immutable: bool) -> None:
        self._immutable = immutable
        self._open: set[Path] = set()

    def add(self, folder: Path, adding: Callable[[], None]) -> None:
        """Do something that adds to ``folder``, which is made where it is missing and stays open until :meth:`close_all`."""
        for _ in range(TRIES):
            self._open_folder(folder)
            with suppress(PermissionError):
                return adding()
            self._open.discard(folder)
        adding()

    def close_all(self) -> None:
        """Close the folders that were opened."""
        for folder in self._open:
            self.close(folder)
        self._open.clear()

    def close(self, folder: Path) -> None:
        """Close one folder."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with suppress(PermissionError):  # another process was quicker, and the attribute forbids to change the mode
                os.fchmod(descriptor, FOLDER_MODE)
            self._set(descriptor, APPEND_ONLY)
        finally:
            os.close(descriptor)

    def seal(self, file: Path) -> None:
        """Set the immutable attribute of a file, where that is wanted and possible."""
        if not self._immutable:
            return
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._set(descriptor, IMMUTABLE)
        finally:
            os.close(descriptor)

    def _open_folder(self, folder: Path) -> None:
        if folder in self._open:
            return
        if not folder.is_dir():
            self.add(folder.parent, lambda: _make(folder))
        unseal(folder)
        self._open.add(folder)

    def _set(self, descriptor: int, flag: int) -> None:
        flags = flags_of(descriptor) if self._immutable else None
        if flags is not None and not flags & flag:
            set_flags(descriptor, flags | flag)


def unseal(path: Path) -> None:
    """Take attributes off a stored file or folder, and let its owner write to a folder: for adding, and for what retention removes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = flags_of(descriptor) or 0
        if flags & (IMMUTABLE | APPEND_ONLY):
            set_flags(descriptor, flags & ~(IMMUTABLE | APPEND_ONLY))
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode) and not status.st_mode & stat.S_IWUSR:
            os.fchmod(descriptor, WRITABLE_FOLDER_MODE)
    finally:
        os.close(descriptor)


def protection_of(store: Path) -> Protection:
    """What protects the store from being removed, as its newest version shows: ``empty`` while there is none.

    ``immutable``: the attribute is set; ``read-only``: it could be, and is not; ``unsupported``: the file system has no such attribute.
    """
    versions = (path for project in (store / VERSIONS).glob("*") for path in project.glob("*.json"))
    newest = max(versions, key=lambda path: path.stat().st_mtime_ns, default=None)
    if newest is None:
        return "empty"
    descriptor = os.open(newest, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = flags_of(descriptor)
    finally:
        os.close(descriptor)
    return "unsupported" if flags is None else "immutable" if flags & IMMUTABLE else "read-only"


def can_seal(folder: Path) -> bool:
    """Whether this process can set the immutable attribute in a folder; tried with a file of its own."""
    probe = folder / f".probe-{os.getpid()}"
    descriptor = os.open(probe, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        flags = flags_of(descriptor)
        sealed = flags is not None and set_flags(descriptor, flags | IMMUTABLE)
        if sealed:
            set_flags(descriptor, flags or 0)
    finally:
        os.close(descriptor)
        probe.unlink()
    return sealed


def _make(folder: Path) -> None:
    with suppress(FileExistsError):
        folder.mkdir(WRITABLE_FOLDER_MODE)
