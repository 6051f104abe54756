"""The inventory of an OCFL 1.1 object: pure. (Oxford Common File Layout, https://ocfl.io/1.1/spec/)

Content is named by SHA-512 and stored once; a later version names earlier content (forward delta). What OCFL has no word for (modes, times,
links, empty directories, what is missing) goes with each version as the logical file ``.slidekeeper/entries.jsonl``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slidekeeper.model.version import VersionDocument

DECLARATION = "0=ocfl_object_1.1"
DECLARATION_TEXT = b"ocfl_object_1.1\n"
INVENTORY = "inventory.json"
SIDECAR = "inventory.json.sha512"
TYPE = "https://ocfl.io/1.1/spec/#inventory"
ALGORITHM = "sha512"
ENTRIES = ".slidekeeper/entries.jsonl"
DOCUMENT = ".slidekeeper/version.json"


@dataclass(frozen=True, slots=True)
class Stored:
    """One content of the object."""

    sha512: str
    sha256: str
    path: str
    """``v1/content/…``"""


@dataclass
class Inventory:
    """What the object holds so far."""

    project: str
    _manifest: dict[str, str] = field(default_factory=dict)
    _fixity: dict[str, list[str]] = field(default_factory=dict)
    _versions: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        """Name of the newest version; ``v0`` before the first."""
        return f"v{len(self._versions)}"

    @property
    def next(self) -> str:
        """Name of the version that comes next."""
        return f"v{len(self._versions) + 1}"

    def holds(self, sha512: str) -> bool:
        """Whether the object has this content already."""
        return sha512 in self._manifest

    def add_version(self, document: VersionDocument, state: Mapping[str, Sequence[str]], new: Sequence[Stored]) -> None:
        """Add a version: ``state`` has the logical paths of each SHA-512, ``new`` the content that no earlier version holds."""
        for stored in new:
            self._manifest[stored.sha512] = stored.path
            self._fixity.setdefault(stored.sha256, []).append(stored.path)
        message = f"{document.project}@v{document.version}" + (f": {document.message}" if document.message else "")
        self._versions[self.next] = {
            "created": document.created.isoformat(timespec="seconds"),
            "message": message,
            "user": {"name": document.by, "address": f"urn:slidekeeper:run:{document.run.run}"},
            "state": {sha512: list(paths) for sha512, paths in state.items()},
        }

    def encode(self) -> bytes:
        """The file ``inventory.json``."""
        inventory = {
            "id": f"urn:slidekeeper:project:{self.project}",
            "type": TYPE,
            "digestAlgorithm": ALGORITHM,
            "head": self.head,
            "contentDirectory": "content",
            "manifest": {sha512: [path] for sha512, path in self._manifest.items()},
            "versions": self._versions,
            "fixity": {"sha256": self._fixity},
        }
        return json.dumps(inventory, indent=1).encode()


def logical_path(path: bytes) -> str:
    """A path as OCFL writes it, in UTF-8; names that are not are spelled in base64, and entries.jsonl tells what they were."""
    return "/".join(_logical_name(name) for name in path.split(b"/"))


def _logical_name(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return f"base64={base64.urlsafe_b64encode(name).decode()}"
