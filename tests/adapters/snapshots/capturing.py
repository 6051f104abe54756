"""A run's folder, a store, and how the one becomes a version in the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from slidekeeper.adapters.snapshots.posix import PosixSnapshots
from slidekeeper.model.tree import DirectoryEntry, FileEntry, MissingEntry, SymlinkEntry
from slidekeeper.model.version import RunOfVersion, VersionDocument
from slidekeeper.ports.snapshots import LeavesOut, Source, VersionLabel

NOTHING: LeavesOut = lambda path, is_folder: False  # noqa: E731


def make_store(folder: Path, *, immutable: bool = False, reserve_bytes: int = 0) -> PosixSnapshots:
    """A store in ``folder``; the same one where there is one."""
    (folder / "bucket").mkdir(parents=True, exist_ok=True)
    return PosixSnapshots(folder / "bucket", folder / "snapshots.sqlite", immutable=immutable, reserve_bytes=reserve_bytes)


def label(project: str = "gleason", run: str = "0123456789ab") -> VersionLabel:
    """What a version says of itself."""
    made_of = RunOfVersion(run=run, name="night-1", folder="/runs/gleason/night-1")
    return VersionLabel(project, datetime.now(UTC), "succeeded", "", made_of, "marker", "default")


def protect(store: PosixSnapshots, run: Path, project: str = "gleason", leaves_out: LeavesOut = NOTHING) -> VersionDocument:
    """Make a folder a version."""
    with store.begin() as capture:
        capture.take([Source("artifacts", str(run))], {"provenance.json": b"{}"}, leaves_out)
        return capture.commit(label(project))


def contents(store: PosixSnapshots, document: VersionDocument) -> dict[bytes, bytes | str | None]:
    """What a version holds, by path: a file's bytes, a link's target, why something is missing, None for a directory."""
    found: dict[bytes, bytes | str | None] = {}
    for listed in store.walk(document.tree):
        match listed.entry:
            case FileEntry() as entry:
                with store.open(entry, listed.pack) as content:
                    found[listed.path] = os.pread(content.descriptor, content.size, content.offset)
            case SymlinkEntry(target=target):
                found[listed.path] = target
            case MissingEntry(reason=reason):
                found[listed.path] = reason
            case DirectoryEntry():
                found[listed.path] = None
    return found


def on_disk(run: Path) -> dict[bytes, bytes | str | None]:
    """The same of a folder of files, directories and links, as its version should hold it."""
    found: dict[bytes, bytes | str | None] = {b"artifacts": None, b"provenance.json": b"{}"}
    for path in run.rglob("*"):
        key = b"artifacts/" + os.fsencode(path.relative_to(run))
        found[key] = os.readlink(path) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
    return found


def keys(store: PosixSnapshots) -> list[str]:
    """All that is stored."""
    return sorted(
        str(path.relative_to(store.root)) for kind in ("blobs", "packs", "trees", "versions") for path in _files(store.root / kind)
    )


def strays(store: PosixSnapshots) -> list[str]:
    """What a capture left aside."""
    return os.listdir(store.root / ".aside")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


@contextmanager
def mounted(image: Path, at: Path, *options: str) -> Iterator[Path]:
    """A file system in a file, mounted."""
    at.mkdir(exist_ok=True)
    run_program("mount", "-o", ",".join(("loop", *options)), str(image), str(at))
    try:
        yield at
    finally:
        run_program("umount", str(at))


def run_program(*command: str) -> str:
    """A program's output; it must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def has(*programs: str) -> bool:
    """Whether programs are installed, and this is root."""
    return os.geteuid() == 0 and all(shutil.which(program) for program in programs)


def importing_tests() -> dict[str, str]:
    """The environment of a process that imports what tests import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
