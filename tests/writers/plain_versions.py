"""Lays down versions in the documented form of the version store, as plainly as can be: every file a blob."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from slidekeeper.adapters.snapshots.documents import encode_document
from slidekeeper.adapters.snapshots.layout import object_key, version_key
from slidekeeper.model.run import RunId
from slidekeeper.model.tree import DirectoryEntry, Entry, FileEntry, SymlinkEntry, encode_tree, named
from slidekeeper.model.version import RunOfVersion, VersionDocument, VersionFacts


def write_version(bucket: Path, run: RunId, folder: Path, project: str = "gleason", number: int = 1) -> VersionFacts:
    """Make a version of all that is in ``folder``, and no other; returns its facts."""
    store = bucket / "protected"
    artifacts = DirectoryEntry(name="artifacts", tree=_tree(store, folder), mode="0755", mtime=0, files=0, size=0)
    tree = _put_tree(store, [artifacts])
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    document = VersionDocument(
        project=project,
        version=number,
        created=datetime.now(UTC),
        tree=tree,
        status="succeeded",
        message="",
        run=RunOfVersion(run=run, name=folder.name, folder=str(folder)),
        by="marker",
        policy="default",
        files=len(files),
        size=size,
        added=size,
        missing=0,
        slidekeeper="0.1.0",
    )
    _put(store / version_key(project, number), encode_document(document))
    return VersionFacts(
        project=project, version=number, tree=tree, status="succeeded", files=len(files), size=size, added=size, missing=0, seconds=0.1
    )


def _tree(store: Path, folder: Path) -> str:
    entries = [_entry(store, path) for path in folder.iterdir() if path.is_symlink() or path.is_file() or path.is_dir()]
    return _put_tree(store, sorted(entries, key=lambda entry: entry.raw_name))


def _entry(store: Path, path: Path) -> Entry:
    status, name = path.lstat(), named(bytes(path.name, "utf-8", "surrogateescape"))
    if path.is_symlink():
        return SymlinkEntry(**name, target=str(path.readlink()), mtime=status.st_mtime_ns)
    if path.is_dir():
        return DirectoryEntry(**name, tree=_tree(store, path), mode="0755", mtime=status.st_mtime_ns, files=0, size=0)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    _put(store / object_key("blobs", digest), data)
    return FileEntry(**name, size=len(data), sha256=digest, mode="0644", mtime=status.st_mtime_ns)


def _put_tree(store: Path, entries: list[Entry]) -> str:
    data = b"".join(encode_tree([], entries))
    digest = hashlib.sha256(data).hexdigest()
    _put(store / object_key("trees", digest), data)
    return digest


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
