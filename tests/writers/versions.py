"""Lays down a version store by its format, from plain folders: what reading is tested with, independent of what the daemon writes with."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from slidekeeper.adapters.snapshots.documents import encode_document
from slidekeeper.adapters.snapshots.layout import SMALL_BYTES, object_key, version_key
from slidekeeper.model.run import RunStatus
from slidekeeper.model.tree import DirectoryEntry, Entry, FileEntry, MissingEntry, SymlinkEntry, encode_tree, named
from slidekeeper.model.version import RunOfVersion, VersionDocument

CREATED = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass
class VersionWriter:
    """Writes versions into the bucket's ``protected/``; files and folders are left writable, so that tests can damage them."""

    bucket: Path
    written: dict[str, int] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The store."""
        return self.bucket / "protected"

    def write(
        self,
        project: str,
        folder: Path,
        *,
        number: int = 0,
        created: datetime = CREATED,
        run: str = "run-1",
        status: RunStatus = "succeeded",
        message: str = "",
    ) -> VersionDocument:
        """A version of everything below ``folder``."""
        return self.write_tree(project, self.tree(folder), number=number, created=created, run=run, status=status, message=message)

    def write_tree(
        self,
        project: str,
        root: DirectoryEntry,
        *,
        number: int = 0,
        created: datetime = CREATED,
        run: str = "run-1",
        status: RunStatus = "succeeded",
        message: str = "",
    ) -> VersionDocument:
        """A version of a tree that is stored already."""
        folder = self.root / "versions" / project
        folder.mkdir(parents=True, exist_ok=True)
        number = number or len(list(folder.iterdir())) + 1
        document = VersionDocument(
            project=project,
            version=number,
            created=created,
            tree=root.tree,
            status=status,
            message=message,
            run=RunOfVersion(run="dddddddddddd", name=run, folder=f"/runs/{project}/{run}"),
            by="marker",
            policy="default",
            files=root.files,
            size=root.size,
            added=root.size,
            missing=root.missing,
            slidekeeper="0.1.0",
        )
        (self.root / version_key(project, number)).write_bytes(encode_document(document))
        return document

    def tree(self, folder: Path, name: bytes = b"root") -> DirectoryEntry:
        """Store a folder, and name it."""
        pack: dict[str, bytes] = {}
        entries: list[Entry] = []
        for entry in sorted(os.scandir(os.fsencode(folder)), key=lambda entry: entry.name):
            entries.append(self._entry(entry, pack))
        return self.directory(name, folder.stat(), entries, [self.pack(pack)] if pack else [])

    def directory(self, name: bytes, facts: os.stat_result | None, entries: Sequence[Entry], packs: Sequence[str]) -> DirectoryEntry:
        """Store a tree of these entries."""
        data = b"".join(encode_tree(packs, entries))
        digest = hashlib.sha256(data).hexdigest()
        self.put(object_key("trees", digest), data)
        below = [entry for entry in entries if isinstance(entry, DirectoryEntry)]
        files = [entry for entry in entries if isinstance(entry, FileEntry)]
        return DirectoryEntry(
            **named(name),
            tree=digest,
            mode=f"{stat.S_IMODE(facts.st_mode):04o}" if facts else "0755",
            mtime=facts.st_mtime_ns if facts else 0,
            files=len(files) + sum(entry.files for entry in below),
            size=sum(entry.size for entry in files) + sum(entry.size for entry in below),
            missing=sum(isinstance(entry, MissingEntry) for entry in entries) + sum(entry.missing for entry in below),
        )

    def pack(self, members: dict[str, bytes]) -> str:
        """Store a pack of small files, and name it."""
        aside = self.root / "new.zip"
        aside.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(members):
                archive.writestr(zipfile.ZipInfo(name), members[name])
        digest = hashlib.sha256(aside.read_bytes()).hexdigest()
        self.put(object_key("packs", digest), aside.read_bytes())
        aside.unlink()
        return digest

    def put(self, key: str, data: bytes) -> None:
        """Store an object."""
        place = self.root / key
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        self.written[key] = len(data)

    def _entry(self, found: os.DirEntry[bytes], pack: dict[str, bytes]) -> Entry:
        facts = found.stat(follow_symlinks=False)
        if stat.S_ISLNK(facts.st_mode):
            return SymlinkEntry(
                **named(found.name),
                **_target(os.readlink(found.path)),  # noqa: PTH115 - bytes
                mtime=facts.st_mtime_ns,
            )
        if stat.S_ISDIR(facts.st_mode):
            return self.tree(Path(os.fsdecode(found.path)), found.name)
        if not stat.S_ISREG(facts.st_mode):
            return MissingEntry(**named(found.name), reason="fifo")
        return self._file(found, facts, pack)

    def _file(self, found: os.DirEntry[bytes], facts: os.stat_result, pack: dict[str, bytes]) -> FileEntry:
        data = Path(os.fsdecode(found.path)).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        small = len(data) <= SMALL_BYTES
        if small:
            pack[digest] = data
        else:
            self.put(object_key("blobs", digest), data)
        mode = f"{stat.S_IMODE(facts.st_mode):04o}"
        return FileEntry(**named(found.name), size=len(data), sha256=digest, mode=mode, mtime=facts.st_mtime_ns, pack=0 if small else -1)


def _target(raw: bytes) -> dict[str, str]:
    try:
        return {"target": raw.decode()}
    except UnicodeDecodeError:
        return {"target_base64": base64.b64encode(raw).decode()}
