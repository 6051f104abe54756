"""Where a site keeps what: the file names of the contract, in one place."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from slidekeeper.errors import Refused, Unavailable
from slidekeeper.settings.loader import Settings

PROBE = re.compile(r"\.probe-\d+")
PART = re.compile(r"\..+\.part")


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below the state folder, and the disks that matter."""

    settings: Settings

    @property
    def journal(self) -> Path:
        """The journal."""
        return self.settings.site.state / "journal.sqlite"

    @property
    def catalog(self) -> Path:
        """The catalog."""
        return self.settings.site.state / "catalog.duckdb"

    @property
    def published(self) -> Path:
        """The catalog as researchers read it."""
        return self.settings.site.state / "published"

    @property
    def stagings(self) -> Path:
        """Plans of the stagings on the tiers."""
        return self.settings.site.state / "stagings"

    @property
    def identified(self) -> Path:
        """The restricted folder."""
        return self.settings.site.state / "identified"

    @property
    def linking(self) -> Path:
        """The linking table."""
        return self.identified / "linking.sqlite"

    @property
    def index(self) -> Path:
        """Intake's index of known files."""
        return self.identified / "intake.sqlite"

    def replica(self, name: str) -> Path:
        """How far a replica is."""
        return self.settings.site.state / f"replica-{name}.json"

    @property
    def disks(self) -> Mapping[str, Path]:
        """Folders whose free space people want to see."""
        tiers = {name: tier.path for name, tier in self.settings.tier.items()}
        return {"state": self.settings.site.state, "bucket": self.settings.bucket.path, **tiers}


def prepare_identified(layout: Layout) -> None:
    """Make the restricted folder of a site that has never run.

    Raises:
        Refused: the site has run, but its linking table is gone: a new one would give known slides new numbers.
    """
    if layout.journal.exists() and not layout.linking.exists():
        remedy = "Restore identified/ and journal.sqlite together from the backup"
        raise Refused("linking-missing", f"there is a journal, but no {layout.linking}", remedy)
    with suppress(FileExistsError):
        layout.identified.mkdir(mode=0o700)


def sweep_leftovers(layout: Layout) -> int:
    """Remove probes and half-written publications of a daemon that was killed, and nothing else; returns how many there were.

    What cannot be swept now is left for the next start.
    """
    settings = layout.settings
    probed = [settings.bucket.path, settings.site.state, *(tier.path for tier in settings.tier.values())]
    places = [*((folder, PROBE) for folder in probed), (layout.published, PART), (layout.stagings, PART)]
    return sum(_sweep(folder, pattern) for folder, pattern in places)


def _sweep(folder: Path, pattern: re.Pattern[str]) -> int:
    swept = 0
    with suppress(OSError):
        for file in folder.iterdir():
            if pattern.fullmatch(file.name) and file.is_file() and not file.is_symlink():
                file.unlink()
                swept += 1
    return swept


def probe_folder(folder: Path) -> None:
    """Prove that the state's disk can be written.

    Raises:
        Unavailable: it cannot.
    """
    probe = folder / f".probe-{os.getpid()}"
    try:
        with probe.open("wb") as stream:
            stream.write(bytes(65536))
            stream.flush()
            os.fsync(stream.fileno())
        probe.unlink()
    except OSError as error:
        probe.unlink(missing_ok=True)
        name = errno.errorcode.get(error.errno or 0, "OSError")
        raise Unavailable(
            "state", "disk-full" if error.errno == errno.ENOSPC else "io-error", name, "Free space on the state's disk"
        ) from None
