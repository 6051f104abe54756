"""Writes versions as one OCFL 1.1 object: read once, verified and digested anew in the same pass, visible only when it is whole."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from slidekeeper.errors import Permanent, Refused, Unavailable
from slidekeeper.model.tree import FileEntry
from slidekeeper.model.version import VersionDocument
from slidekeeper.ports.snapshots import Listed, Versions
from slidekeeper.steps.versions.ocfl import (
    DECLARATION,
    DECLARATION_TEXT,
    DOCUMENT,
    ENTRIES,
    INVENTORY,
    SIDECAR,
    Inventory,
    Stored,
    logical_path,
)

WINDOW_BYTES = 1 << 20
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote."""

    versions: int
    files: int
    """Contents, each once."""
    size: int
    """Bytes of them."""


def export_ocfl(store: Versions, documents: Sequence[VersionDocument], place: Path, advance: Callable[[int], None]) -> Exported:
    """Write versions of one project, oldest first, as the OCFL object ``place``.

    Raises:
        Refused: ``target-exists``.
        Permanent: ``version-damaged``; nothing is left at ``place``.
        Unavailable: the target cannot be written.
    """
    if os.path.lexists(place):
        raise Refused("target-exists", "an export makes its own folder", "Choose a name that is free")
    aside = place.with_name(f".{place.name}.exporting")
    with _target_errors():
        if aside.exists():
            shutil.rmtree(aside)
        aside.mkdir(parents=True)
        try:
            exported = _Object(store, documents[0].project, aside, advance).write(documents)
            aside.rename(place)
        except BaseException:
            shutil.rmtree(aside)
            raise
    return exported


@dataclass
class _State:
    """One version in the making."""

    paths: dict[str, list[str]] = field(default_factory=dict)
    new: list[Stored] = field(default_factory=list)

    def add(self, sha512: str, path: str) -> None:
        """The version has this content at this path."""
        self.paths.setdefault(sha512, []).append(path)


class _Object:
    def __init__(self, store: Versions, project: str, root: Path, advance: Callable[[int], None]) -> None:
        self._store = store
        self._root = root
        self._advance = advance
        self._inventory = Inventory(project)
        self._known: dict[str, str] = {}
        """SHA-512 of each SHA-256 that the object holds."""
        self._size = 0

    def write(self, documents: Sequence[VersionDocument]) -> Exported:
        """Write version after version, then what makes the folder an object."""
        for document in documents:
            self._write_version(document)
        self._write_inventory(self._root)
        self._put(self._root / DECLARATION, DECLARATION_TEXT)
        return Exported(len(documents), len(self._known), self._size)

    def _write_version(self, document: VersionDocument) -> None:
        state, entries = _State(), bytearray()
        for listed in self._store.walk(document.tree):
            entries += _line(listed)
            if isinstance(listed.entry, FileEntry):
                path = logical_path(listed.path)
                if listed.entry.sha256 not in self._known:
                    self._copy(listed, listed.entry, path, state)
                state.add(self._known[listed.entry.sha256], path)
        self._put_own(ENTRIES, bytes(entries), state)
        self._put_own(DOCUMENT, document.model_dump_json(indent=2).encode() + b"\n", state)
        folder = self._root / self._inventory.next
        self._inventory.add_version(document, state.paths, state.new)
        folder.mkdir(exist_ok=True)
        self._write_inventory(folder)

    def _copy(self, listed: Listed, entry: FileEntry, path: str, state: _State) -> None:
        """Copy one content that the object lacks."""
        place = f"{self._inventory.next}/content/{path}"
        sha256, sha512 = hashlib.sha256(), hashlib.sha512()
        with self._store.open(entry, listed.pack) as content, self._new_file(place) as target:
            for offset in range(0, content.size, WINDOW_BYTES):
                data = os.pread(content.descriptor, min(WINDOW_BYTES, content.size - offset), content.offset + offset)
                sha256.update(data)
                sha512.update(data)
                _write_fully(target, data)
                self._advance(len(data))
        if sha256.hexdigest() != entry.sha256:
            raise Permanent("version-damaged", "a stored file has changed", "See `slidekeeper versions verify`")
        self._note(Stored(sha512.hexdigest(), entry.sha256, place), entry.size, state)

    def _put_own(self, path: str, data: bytes, state: _State) -> None:
        """Add a file of our own to a version."""
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 not in self._known:
            place = f"{self._inventory.next}/content/{path}"
            with self._new_file(place) as target:
                _write_fully(target, data)
            self._note(Stored(hashlib.sha512(data).hexdigest(), sha256, place), len(data), state)
        state.add(self._known[sha256], path)

    def _note(self, stored: Stored, size: int, state: _State) -> None:
        self._known[stored.sha256] = stored.sha512
        state.new.append(stored)
        self._size += size

    def _write_inventory(self, folder: Path) -> None:
        data = self._inventory.encode()
        self._put(folder / INVENTORY, data)
        self._put(folder / SIDECAR, f"{hashlib.sha512(data).hexdigest()} {INVENTORY}\n".encode())

    @contextmanager
    def _new_file(self, path: str) -> Iterator[int]:
        place = self._root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, NEW_FILE, 0o644)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @staticmethod
    def _put(place: Path, data: bytes) -> None:
        place.write_bytes(data)


def _line(listed: Listed) -> bytes:
    """An entry as a line of JSON: its path, and what the store's tree says of it."""
    return msgspec.json.encode({"path": logical_path(listed.path), "entry": listed.entry}) + b"\n"


def _write_fully(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]


@contextmanager
def _target_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        raise Unavailable("target", "target-error", name, "Make the target usable and repeat") from None
