"""Compares a staging with its manifest: the proof that a training job trains on exactly what was chosen."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from blake3 import blake3
from pydantic import ValidationError

from slidekeeper.adapters.tier.copying import Buffers, digest_file
from slidekeeper.adapters.tier.folder import MARK
from slidekeeper.adapters.tier.handles import folder, parts_of, read_file
from slidekeeper.model.manifest import IMAGES, MANIFEST, OWN, Manifest, ManifestEntry
from slidekeeper.ports.tier import Finding

FOLDERS = frozenset({".", f"./{IMAGES}", f"./{OWN}"})
THREADS = 4


def verify_staging(root: str, name: str, exact: bool) -> Sequence[Finding]:
    """Everything that is not as the manifest says, by path."""
    try:
        with folder(root) as top, folder([name], top) as there:
            return sorted(_findings(there, exact), key=lambda finding: finding.target)
    except (FileNotFoundError, NotADirectoryError):
        return [Finding(MANIFEST, "no-manifest")]


def _findings(there: int, exact: bool) -> Iterator[Finding]:
    try:
        text = read_file(MANIFEST, there)
        manifest = Manifest.model_validate_json(text)
    except (OSError, ValidationError):
        yield Finding(MANIFEST, "no-manifest")
        return
    if _mark(there) != f"blake3:{blake3(text).hexdigest()}":
        yield Finding(f"{OWN}/{MARK}", "not-ready")
    buffers = Buffers()
    with ThreadPoolExecutor(THREADS) as pool:
        problems = pool.map(lambda entry: _problem(entry, there, buffers if exact else None), manifest.files)
        yield from (Finding(entry.target, problem) for entry, problem in zip(manifest.files, problems, strict=True) if problem)
    if exact:
        yield from strangers(there, {entry.target for entry in manifest.files})


def strangers(there: int, listed: set[str]) -> Iterator[Finding]:
    """Whatever is in a staging's folder but in no manifest; empty folders, too."""
    known = {f"./{target}" for target in listed} | {f"./{MANIFEST}", f"./{OWN}/{MARK}", f"./{OWN}/staging", f"./{OWN}/progress"}
    for path, folders, files, _ in os.fwalk(".", dir_fd=there, follow_symlinks=False):
        unknown = [f"{path}/{name}" for name in files if f"{path}/{name}" not in known]
        unknown += [f"{path}/{name}" for name in folders if f"{path}/{name}" not in FOLDERS]
        yield from (Finding(os.fsencode(each.removeprefix("./")).decode("utf-8", "backslashreplace"), "stranger") for each in unknown)


def _problem(entry: ManifestEntry, there: int, buffers: Buffers | None) -> str:
    """What is wrong with one file; empty where nothing is."""
    try:
        *above, name = parts_of(entry.target)
        with folder(above, there) as parent:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                return "no-file"
            if found.st_size != entry.size:
                return "wrong-size"
            return "" if buffers is None or digest_file(name, parent, buffers) == entry.digest else "wrong-digest"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        return "permission" if error.errno in (errno.EACCES, errno.EPERM) else "unreadable"


def _mark(there: int) -> str:
    try:
        with folder([OWN], there) as own:
            return read_file(MARK, own).decode("ascii", "replace").strip()
    except OSError:
        return ""
