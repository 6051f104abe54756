"""Reads the version store: versions, trees, and where the bytes of a file lie. Needs neither a daemon nor a database."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from slidekeeper.adapters.snapshots.documents import decode_document
from slidekeeper.adapters.snapshots.layout import (
    OBJECT_KEY,
    PROJECT,
    STORE,
    VERSION_FILE,
    VERSION_KEY,
    VERSIONS,
    object_key,
    version_key,
)
from slidekeeper.adapters.snapshots.pack_index import Member, PackIndex, read_index
from slidekeeper.adapters.snapshots.troubles import damaged, store_errors
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.model.tree import DirectoryEntry, FileEntry, decode_entries, decode_head
from slidekeeper.model.version import VersionDocument, VersionReference
from slidekeeper.ports.snapshots import Content, Damage, Listed

PORTION_BYTES = 128 * 1024
"""Of a tree's file that are decoded at a time."""
INDEXES_KEPT = 16
"""Central directories that stay in memory: at most 7 MB each."""


class PosixVersions:
    """Implements :class:`slidekeeper.ports.snapshots.Versions` below a bucket's folder."""

    def __init__(self, bucket: Path, mount: bool = False) -> None:
        self.root = bucket / STORE
        self._bucket = bucket
        self._mount = mount
        self._indexes: OrderedDict[str, PackIndex] = OrderedDict()
        self._lock = Lock()

    def projects(self) -> Sequence[str]:
        """Names of all projects, sorted."""
        return sorted(name for name in self._names(self.root / VERSIONS) if PROJECT.fullmatch(name))

    def numbers(self, project: str) -> Sequence[int]:
        """Numbers of a project's versions, ascending."""
        if not PROJECT.fullmatch(project):
            return []
        matches = (VERSION_FILE.fullmatch(name) for name in self._names(self.root / VERSIONS / project))
        return sorted(int(match[1]) for match in matches if match)

    def document(self, project: str, number: int) -> VersionDocument:
        """One version.

        Raises:
            Refused: ``unknown-version``.
            Permanent: ``version-damaged``.
        """
        data = self._read_document(project, number)
        try:
            document = decode_document(data)
        except ValueError:
            raise damaged(f"the document of version {number} has changed") from None
        if (document.project, document.version) != (project, number):
            raise damaged(f"the document of version {number} is that of another")
        return document

    def find(self, reference: VersionReference) -> VersionDocument:
        """The version that somebody named; the newest where several fit.

        Raises:
            Refused: ``unknown-project``, ``unknown-version``.
        """
        if reference.number:
            return self.document(reference.project, reference.number)
        numbers = self.numbers(reference.project)
        if not numbers:
            raise Refused("unknown-project", "no version of such a project is stored", "See `slidekeeper versions list`")
        for number in reversed(numbers):
            document = self.document(reference.project, number)
            if not reference.run or document.run.name == reference.run:
                return document
        raise Refused("unknown-version", "no version of this project was made of such a run", "See `slidekeeper versions list`")

    def children(self, tree: str) -> Iterator[Listed]:
        """Entries of one directory by name, read as they are asked for; a changed tree is told at the latest behind its last entry."""
        with self._opened(object_key("trees", tree)) as stream:
            digest = hashlib.sha256()
            try:
                packs = decode_head(_digested(stream.readline(), digest))
                for entry in decode_entries(_portions(stream, digest)):
                    pack = packs[entry.pack] if isinstance(entry, FileEntry) and entry.pack >= 0 else ""
                    yield Listed(_checked(entry.raw_name), entry, pack)
            except (ValueError, IndexError):
                raise damaged("a tree has changed") from None
            if stream.read(1) or digest.hexdigest() != tree:
                raise damaged("a tree has changed")

    def walk(self, tree: str, under: bytes = b"") -> Iterator[Listed]:
        """All entries below a tree, depth first by name, directories before what is in them."""
        levels = [(under, self.children(tree))]
        while levels:
            above, entries = levels[-1]
            listed = next(entries, None)
            if listed is None:
                levels.pop()
                continue
            path = above + b"/" + listed.path if above else listed.path
            yield Listed(path, listed.entry, listed.pack)
            if isinstance(listed.entry, DirectoryEntry):
                levels.append((path, self.children(listed.entry.tree)))

    @contextmanager
    def open(self, entry: FileEntry, pack: str) -> Iterator[Content]:
        """The stored bytes of a file; not verified."""
        key = object_key("packs", pack) if pack else object_key("blobs", entry.sha256)
        with self._opened(key) as stream:
            descriptor = stream.fileno()
            member = self._member(pack, entry.sha256, descriptor) if pack else Member(0, _size(descriptor))
            if member.size != entry.size:
                raise damaged("a stored file has another size")
            yield Content(descriptor, member.offset, member.size)

    def holds(self, entry: FileEntry, pack: str) -> bool:
        """Whether the bytes of a file are there, in the right number; quicker than to open them."""
        if pack:
            try:
                member = self._member(pack, entry.sha256)
            except FileNotFoundError:
                return False
            return member.size == entry.size
        try:
            with store_errors():
                return (self.root / object_key("blobs", entry.sha256)).stat().st_size == entry.size
        except FileNotFoundError:
            return False

    def verify(self, key: str) -> Damage | None:
        """Read one stored object and say what is wrong with it, or None."""
        self.check_there()
        try:
            with io.FileIO(self.root / key) as stream:
                changed = not _is_sound(key, stream)
        except FileNotFoundError:
            return Damage(key, "missing")
        except OSError as error:
            if error.errno in (errno.EIO, errno.EACCES, errno.EPERM, errno.EISDIR):
                return Damage(key, "unreadable")
            with store_errors():
                raise
        return Damage(key, "changed") if changed else None

    @contextmanager
    def object(self, key: str) -> Iterator[BinaryIO]:
        """The bytes of any stored object, not verified.

        Raises:
            Permanent: ``version-damaged``, it is missing.
        """
        with self._opened(key) as stream:
            yield stream

    def check_there(self) -> None:
        """Tell a bucket that is away from one that holds nothing.

        Raises:
            Unavailable: it is away.
        """
        with store_errors():
            there, mounted = self._bucket.is_dir(), not self._mount or self._bucket.is_mount()
        if not there:
            raise Unavailable("bucket", "missing", "the bucket's folder is not there", "Mount or create it; work goes on by itself")
        if not mounted:
            raise Unavailable("bucket", "not-mounted", "nothing is mounted on the bucket's folder", "Mount it; work goes on by itself")

    def _read_document(self, project: str, number: int) -> bytes:
        self.check_there()
        try:
            if PROJECT.fullmatch(project):
                with store_errors():
                    return (self.root / version_key(project, number)).read_bytes()
        except FileNotFoundError:
            pass
        raise Refused("unknown-version", f"there is no version {number} of this project", "See `slidekeeper versions list`")

    def _names(self, folder: Path) -> Sequence[str]:
        self.check_there()
        try:
            with store_errors():
                return os.listdir(folder)
        except FileNotFoundError:
            return []

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        self.check_there()
        try:
            with store_errors():
                stream = (self.root / key).open("rb")
        except FileNotFoundError:
            raise damaged(f"one of its {key.partition('/')[0]} is missing") from None
        with stream:
            yield stream

    def _member(self, pack: str, name: str, descriptor: int | None = None) -> Member:
        with self._lock:
            index = self._indexes.get(pack)
        if index is None:
            index = self._read_index(pack, descriptor)
        member = index.find(name)
        if member is None:
            raise damaged("a pack lacks a file")
        return member

    def _read_index(self, pack: str, descriptor: int | None) -> PackIndex:
        if descriptor is None:
            with self._opened(object_key("packs", pack)) as stream:
                return self._read_index(pack, stream.fileno())
        try:
            with store_errors():
                index = read_index(descriptor)
        except ValueError:
            raise damaged("a pack has changed") from None
        with self._lock:
            self._indexes[pack] = index
            while len(self._indexes) > INDEXES_KEPT:
                self._indexes.popitem(last=False)
        return index


def _portions(stream: BinaryIO, digest: hashlib._Hash) -> Iterator[bytes]:
    """The rest of a tree's file in portions of whole lines."""
    while lines := stream.readlines(PORTION_BYTES):
        yield _digested(b"".join(lines), digest)


def _digested(line: bytes, digest: hashlib._Hash) -> bytes:
    digest.update(line)
    return line


def _checked(name: bytes) -> bytes:
    """A name that leads nowhere else, also where somebody has forged a tree."""
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise ValueError("no name of a file")
    return name


def _size(descriptor: int) -> int:
    with store_errors():
        return os.fstat(descriptor).st_size


def _is_sound(key: str, stream: io.FileIO) -> bool:
    """Whether an object is what its key says."""
    if match := OBJECT_KEY.fullmatch(key):
        return hashlib.file_digest(stream, "sha256").hexdigest() == match["digest"]
    if match := VERSION_KEY.fullmatch(key):
        try:
            document = decode_document(stream.read())
        except ValueError:
            return False
        return (document.project, document.version) == (match["project"], int(match["number"]))
    raise FileNotFoundError(key)
