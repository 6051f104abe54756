"""A staging while it is written: images gather in ``.slidekeeper/parts``; one rename of that folder makes all of them visible."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeAlias

from blake3 import blake3

from slidekeeper.adapters.tier.copying import Buffers, copy_file
from slidekeeper.adapters.tier.handles import FILE_MODE, folder, make_folder, place_errors, read_file, sync_file_system, write_file
from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.model.manifest import IMAGES, MANIFEST, OWN, Manifest, StagedImage
from slidekeeper.ports.tier import Tell

CheckBucket: TypeAlias = Callable[[], object]

PARTS = "parts"
PROGRESS = "progress"
MARK = "READY"
OWNER = "staging"
LINE = re.compile(r"([^ /]+) (\d+)")


class PosixStagingFolder:
    """Implements :class:`slidekeeper.ports.tier.StagingFolder`; holds descriptors of its folders until it is closed."""

    def __init__(self, root: str, name: str, owner: str, place: str, sources: Sequence[Path], check_bucket: CheckBucket) -> None:
        """``sources``: roots of the bucket and of its replicas; ``check_bucket`` raises where the bucket is away.

        Raises:
            Permanent: something else lies there.
        """
        self._place = place
        self._sources = sources
        self._check_bucket = check_bucket
        self._buffers = Buffers()
        with ExitStack() as stack, place_errors(place):
            top = stack.enter_context(folder(root))
            try:
                self._folder = make_folder(name, top)
                stack.callback(os.close, self._folder)
                self._own = make_folder(OWN, self._folder)
                stack.callback(os.close, self._own)
            except NotADirectoryError:
                raise _taken() from None
            self._claim(owner)
            self._images = _open_images(self._folder, self._own)
            stack.callback(os.close, self._images)
            os.fsync(top)
            self._closing = stack.pop_all()

    def verified(self) -> Mapping[str, int]:
        """What the progress log tells, as far as it is still there."""
        with place_errors(self._place):
            try:
                lines = read_file(PROGRESS, self._own).decode("ascii", "replace").splitlines(keepends=True)
            except FileNotFoundError:
                return {}
            told = [match.groups() for line in lines if line.endswith("\n") and (match := LINE.fullmatch(line.strip()))]
            return {name: int(size) for name, size in told if self._size(name) == int(size)}

    def copy(self, image: StagedImage, tell: Tell, replica: int = 0) -> str:
        """Copy one image aside, from the bucket (0) or one of its replicas; a replica that fails has nothing."""
        source = str(self._sources[replica] / image.source)
        try:
            return copy_file(source, image.name, self._images, image.size, self._buffers, tell, ("bucket", self._place))
        except FileNotFoundError:
            if replica == 0:
                self._check_bucket()
            raise
        except Unavailable as away:
            if replica and away.place == "bucket":
                raise FileNotFoundError(errno.ENOENT, away.reason) from None
            raise

    def settle(self, images: Sequence[StagedImage]) -> None:
        """One sync for all, and only then a line for each in the log."""
        with place_errors(self._place):
            sync_file_system(self._images)
            log = os.open(PROGRESS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE, dir_fd=self._own)
            with os.fdopen(log, "wb") as stream:
                stream.write("".join(f"{image.name} {image.size}\n" for image in images).encode())
                stream.flush()
                os.fdatasync(stream.fileno())

    def complete(self, manifest: Manifest, labels: Mapping[str, bytes]) -> str:
        """Images, labels, manifest, mark, in this order; the mark holds the manifest's digest."""
        with place_errors(self._place):
            with suppress(FileNotFoundError):
                os.rename(PARTS, IMAGES, src_dir_fd=self._own, dst_dir_fd=self._folder)
            os.fsync(self._folder)
            return write_tidings(self._folder, self._own, manifest, labels)

    def close(self) -> None:
        """Let go of the descriptors."""
        self._closing.close()

    def _claim(self, owner: str) -> None:
        """Make sure that the folder is this staging's."""
        try:
            if read_file(OWNER, self._own).decode("ascii", "replace").strip() != owner:
                raise _taken()
        except FileNotFoundError:
            if set(os.listdir(self._folder)) != {OWN}:
                raise _taken() from None
            write_file(OWNER, f"{owner}\n".encode(), self._own)

    def _size(self, name: str) -> int:
        try:
            found = os.stat(name, dir_fd=self._images, follow_symlinks=False)
        except FileNotFoundError:
            return -1
        return found.st_size if stat.S_ISREG(found.st_mode) else -1


def write_tidings(top: int, own: int, manifest: Manifest, labels: Mapping[str, bytes]) -> str:
    """Write labels, manifest and last the mark; returns the manifest's digest."""
    for name, data in labels.items():
        write_file(name, data, top)
    text = manifest.model_dump_json(indent=1).encode()
    digest = f"blake3:{blake3(text).hexdigest()}"
    write_file(MANIFEST, text, top)
    write_file(MARK, f"{digest}\n".encode(), own)
    return digest


def _open_images(top: int, own: int) -> int:
    """The folder of images: where they become visible if an earlier attempt came so far, else aside."""
    try:
        with folder([IMAGES], top) as there:
            return os.dup(there)
    except FileNotFoundError:
        return make_folder(PARTS, own)


def _taken() -> Permanent:
    return Permanent("target-not-empty", "something else lies under this name on the tier", "Release the staging, and choose another name")
