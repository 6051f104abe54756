"""Takes a staging away: what its manifest lists, and Slidekeeper's own folder; whatever else is there stays."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from contextlib import suppress

from slidekeeper.adapters.tier.folder import MARK, OWNER
from slidekeeper.adapters.tier.handles import FOLDER, folder, parts_of, read_file
from slidekeeper.model.manifest import IMAGES, OWN
from slidekeeper.ports.tier import Removal


def remove_staging(root: str, name: str, owner: str, targets: Mapping[str, int]) -> Removal:
    """Remove a staging's files and those of its folders that are empty then; again after a kill, from wherever it was."""
    with folder(root) as top:
        try:
            with folder([name], top) as there:
                if owner_of(there) not in (owner, ""):
                    return Removal(0, 0, 0)
                removed = [size for target in targets if (size := unlink(target, there)) >= 0] if owner_of(there) else []
                _remove_own(there)
                left = count_files(there)
        except (FileNotFoundError, NotADirectoryError):
            return Removal(0, 0, 0)
        with suppress(OSError):  # it is not empty
            os.rmdir(name, dir_fd=top)
        os.fsync(top)
    return Removal(len(removed), sum(removed), left)


def owner_of(there: int) -> str:
    """Id of the staging that made a folder; empty where none did."""
    try:
        with folder([OWN], there) as own:
            return read_file(OWNER, own).decode("ascii", "replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def unlink(target: str, there: int) -> int:
    """Remove one regular file; returns its size, or -1 where there is none: a link or folder in its place is not ours."""
    *above, name = parts_of(target)
    try:
        with folder(above, there) as parent:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                return -1
            os.unlink(name, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        return -1
    return found.st_size


def count_files(there: int) -> int:
    """Everything below a folder that is no folder itself."""
    return sum(len(files) for _, _, files, _ in os.fwalk(".", dir_fd=there, follow_symlinks=False))


def _remove_own(there: int) -> None:
    """The mark first, for the staging is whole no more; the owner last, for it tells that the rest may be removed."""
    with suppress(FileNotFoundError, NotADirectoryError):
        unlink(f"{OWN}/{MARK}", there)
        with folder([OWN], there) as own:
            for name in os.listdir(own):
                _remove_any(name, own, spare=OWNER)
        with suppress(OSError):  # somebody's files are in it
            os.rmdir(IMAGES, dir_fd=there)
        unlink(f"{OWN}/{OWNER}", there)
        with suppress(OSError):
            os.rmdir(OWN, dir_fd=there)


def _remove_any(name: str, above: int, spare: str) -> None:
    if name == spare:
        return
    try:
        os.close(os.open(name, FOLDER, dir_fd=above))
    except OSError:
        os.unlink(name, dir_fd=above)
    else:
        shutil.rmtree(name, dir_fd=above)
