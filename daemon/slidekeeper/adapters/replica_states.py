"""Remembers in a small JSON file how far a replica is."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from slidekeeper.errors import Unavailable
from slidekeeper.ports.replica import ReplicaState


@dataclass(frozen=True, slots=True)
class JsonReplicaStates:
    """Implements :class:`slidekeeper.ports.replica.ReplicaStates` in ``file``.

    It is not synced: a power cut may lose it or take it back, and then what is there already is looked at again.
    """

    file: Path

    def load(self) -> ReplicaState:
        """The state that was saved last; a new one where there is none that can be read."""
        try:
            return ReplicaState.model_validate_json(self.file.read_bytes())
        except (OSError, ValidationError):
            return ReplicaState()

    def save(self, state: ReplicaState) -> None:
        """Replace it, atomically.

        Raises:
            Unavailable: the state's disk is full or failing.
        """
        aside = self.file.with_name(f".{self.file.name}.part")
        try:
            aside.write_text(state.model_dump_json(indent=2), encoding="utf-8")
            aside.replace(self.file)
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "OSError")
            raise Unavailable("state", "cannot-write", name, "Mend the state's disk") from None
