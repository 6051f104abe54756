"""The version store in a folder of the bucket: begins captures, checks versions, and clears what killed captures left."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import get_ident

from slidekeeper.adapters.snapshots.aside import placing
from slidekeeper.adapters.snapshots.capture import PosixCapture
from slidekeeper.adapters.snapshots.kernel import sync_file_system
from slidekeeper.adapters.snapshots.known_files import KnownFiles
from slidekeeper.adapters.snapshots.layout import ASIDE, FILE_MODE, FOLDER_MODE, LOCK, README, SUFFIXES, VERSIONS, object_key
from slidekeeper.adapters.snapshots.manual import MANUAL
from slidekeeper.adapters.snapshots.pack_index import read_index
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.adapters.snapshots.sealing import Sealing
from slidekeeper.adapters.snapshots.troubles import damaged, store_errors
from slidekeeper.errors import Unavailable
from slidekeeper.model.tree import FileEntry
from slidekeeper.model.version import VersionDocument

STORE_MODE = 0o750
SIZES_KEPT = 4


class PosixSnapshots(PosixVersions):
    """Implements :class:`slidekeeper.ports.snapshots.Snapshots` below a bucket's folder; ``cache`` may be deleted at any time."""

    def __init__(
        self, bucket: Path, cache: Path, *, mount: bool = False, reserve_bytes: int = 0, readers: int = 4, immutable: bool = True
    ) -> None:
        super().__init__(bucket, mount)
        self._cache = cache
        self._reserve_bytes = reserve_bytes
        self._readers = readers
        self._immutable = immutable

    @contextmanager
    def begin(self) -> Iterator[PosixCapture]:
        """A new version in the making; see the port."""
        self._check_usable()
        with ExitStack() as stack:
            with store_errors():
                self._prepare()
                stack.enter_context(store_lock(self.root, fcntl.LOCK_SH))
            known = KnownFiles(self._cache)
            stack.callback(known.close)
            with store_errors():
                if known.is_new:
                    self._teach(known)
                capture = PosixCapture(self.root, known, Sealing(self._immutable), self._readers, stack)
            yield capture

    def check(self, document: VersionDocument) -> None:
        """Prove that a version can be read, but for the bytes of its files; see the port."""
        sizes: dict[str, dict[bytes, int]] = {}
        for listed in self.walk(document.tree):
            entry = listed.entry
            if not isinstance(entry, FileEntry):
                continue
            if not listed.pack:
                if not self.holds(entry, ""):
                    raise damaged("a stored file is missing, or of another size")
                continue
            if listed.pack not in sizes:
                while len(sizes) >= SIZES_KEPT:
                    del sizes[next(iter(sizes))]
                sizes[listed.pack] = self._sizes(listed.pack)
            if sizes[listed.pack].get(entry.sha256.encode()) != entry.size:
                raise damaged("a pack lacks a file")

    def sweep(self) -> int:
        """Clear what killed captures left; see the port."""
        self.check_there()
        if not (self.root / ASIDE).is_dir():
            return 0
        with suppress(BlockingIOError), store_errors(), store_lock(self.root, fcntl.LOCK_EX | fcntl.LOCK_NB):
            left = [Path(entry.path) for entry in os.scandir(self.root / ASIDE)]
            sealing = Sealing(self._immutable)
            for folder in left:
                self._sweep(folder, sealing)
            if left:
                self._close_folders(sealing)
            return len(left)
        return 0

    def _sweep(self, left: Path, sealing: Sealing) -> None:
        """Seal what a killed capture had placed, and remove the rest."""
        if not left.is_dir():
            left.unlink()
            return
        for key in placing(left):
            with suppress(FileNotFoundError):
                sealing.seal(self.root / key)
        shutil.rmtree(left)

    def _sizes(self, pack: str) -> dict[bytes, int]:
        with self._opened(object_key("packs", pack)) as stream, store_errors():
            try:
                return read_index(stream.fileno()).sizes()
            except ValueError:
                raise damaged("a pack has changed") from None

    def _check_usable(self) -> None:
        self.check_there()
        with store_errors():
            free = shutil.disk_usage(self._bucket).free
        if free < self._reserve_bytes:
            detail = f"{free} bytes are free, {self._reserve_bytes} are reserved"
            raise Unavailable("bucket", "disk-full", detail, "Free space; work goes on by itself")

    def _prepare(self) -> None:
        """Make the store's folders, and tell whoever finds it what it is."""
        if (self.root / README).exists():
            return
        for folder in (self.root, self.root / ASIDE, self.root / VERSIONS, *(self.root / kind for kind in SUFFIXES)):
            folder.mkdir(STORE_MODE, exist_ok=True)
        (self.root / LOCK).touch(0o640)
        part = self.root / ASIDE / f"{README}-{os.getpid()}-{get_ident()}"
        part.write_text(MANUAL)
        part.chmod(FILE_MODE)
        part.replace(self.root / README)
        for folder in (self.root / VERSIONS, *(self.root / kind for kind in SUFFIXES)):
            folder.chmod(FOLDER_MODE)
        descriptor = os.open(self._bucket, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_file_system(descriptor)
        finally:
            os.close(descriptor)

    def _teach(self, known: KnownFiles) -> None:
        """Tell an empty cache which small files the packs hold."""
        for path in (self.root / "packs").glob("??/*.zip"):
            with path.open("rb") as stream, suppress(ValueError):
                known.learn(path.stem, read_index(stream.fileno()).names())

    def _close_folders(self, sealing: Sealing) -> None:
        """Close every folder that a killed capture may have left open."""
        for kind in (VERSIONS, *SUFFIXES):
            for entry in os.scandir(self.root / kind):
                if entry.is_dir(follow_symlinks=False):
                    sealing.close(Path(entry.path))
            sealing.close(self.root / kind)


@contextmanager
def store_lock(store: Path, mode: int) -> Iterator[None]:
    """Hold the store's lock: ``fcntl.LOCK_SH`` to add, ``fcntl.LOCK_EX`` to remove what no version needs."""
    descriptor = os.open(store / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)
