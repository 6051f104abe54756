"""Keeps plans as JSON and their rows as Parquet in ``<state>/stagings``, and a list of damaged objects beside them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from slidekeeper.errors import Permanent, Unavailable
from slidekeeper.model.manifest import Plan, StagedImage
from slidekeeper.model.staging import StagingId

DAMAGED = "damaged.jsonl"
FOLDER_MODE = 0o750


@contextmanager
def _state_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = "disk-full" if error.errno == errno.ENOSPC else "io-error"
        raise Unavailable("state", reason, errno.errorcode.get(error.errno or 0, "OSError"), "Free space on the state's disk") from None


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """Implements :class:`slidekeeper.ports.stagings.Plans`."""

    folder: Path

    def rows(self, staging: StagingId) -> Path:
        """Where the rows lie; the folder is made."""
        with _state_errors():
            self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        return self.folder / f"{staging}.parquet"

    def write(self, plan: Plan) -> None:
        """Write aside, durably, and put in place."""
        with _state_errors():
            self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            aside = self.folder / f".{plan.staging}.json.part"
            with aside.open("wb") as stream:
                stream.write(plan.model_dump_json().encode())
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(self._plan(plan.staging))
            self._sync()

    def read(self, staging: StagingId) -> Plan | None:
        """The plan.

        Raises:
            Permanent: it is damaged.
        """
        try:
            with _state_errors():
                return Plan.model_validate_json(self._plan(staging).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            raise Permanent("plan-damaged", "the staging's plan cannot be read", "Release it, and order it anew") from None

    def forget(self, staging: StagingId) -> None:
        """Remove both."""
        with _state_errors():
            for file in (self._plan(staging), self.folder / f"{staging}.parquet"):
                file.unlink(missing_ok=True)

    def kept(self) -> Sequence[StagingId]:
        """Ids in the names of plans and rows."""
        with _state_errors():
            names = [file for file in self.folder.iterdir() if not file.name.startswith(".")] if self.folder.is_dir() else []
        return sorted({StagingId(file.stem) for file in names if file.suffix in (".json", ".parquet")})

    def note_damage(self, image: StagedImage, staging: StagingId, found: str) -> None:
        """One line of JSON for each."""
        note = {**image.model_dump(), "key": image.source, "found": found, "staging": staging, "time": datetime.now(UTC).isoformat()}
        with _state_errors(), (self.folder / DAMAGED).open("a") as stream:
            stream.write(json.dumps(note) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _plan(self, staging: StagingId) -> Path:
        return self.folder / f"{staging}.json"

    def _sync(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
