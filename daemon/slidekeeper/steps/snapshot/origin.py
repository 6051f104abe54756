"""What ``provenance.json`` says: everything that tells how a run came about. Equal circumstances give equal bytes: no time is in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from slidekeeper.model.run import DoneMarker, RunPlace
from slidekeeper.ports.provenance import Provenance

FORMAT = "slidekeeper-provenance-1"
CODE = "code/"


def describe(place: RunPlace, marker: DoneMarker, policy: str, folders: Mapping[str, str], provenance: Provenance) -> dict[str, Any]:
    """The content of ``provenance.json``; ``folders`` are what goes into the version, by name."""
    origins = provenance.origins(place.folder, folders)
    return {
        "format": FORMAT,
        "project": place.project,
        "run": place.name,
        "folder": place.folder,
        "status": marker.status,
        "message": marker.message,
        "parameters": dict(marker.parameters),
        "policy": policy,
        "host": origins.host,
        "user": origins.user,
        "environment": dict(origins.locks),
        "code": {name: {"folder": where, **asdict(provenance.code(where))} for name, where in folders.items() if name.startswith(CODE)},
        "staging": {"name": marker.staging, "manifest": provenance.staging(marker.staging)} if marker.staging else None,
    }
