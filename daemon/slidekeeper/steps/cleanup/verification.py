"""Reads every byte of a version and compares it with its digest: only what is proven to be stored may be removed elsewhere."""

from __future__ import annotations

import errno
import hashlib
import os

from slidekeeper.errors import LOST_MOUNTS, Permanent, Unavailable
from slidekeeper.model.tree import DirectoryEntry, FileEntry
from slidekeeper.model.version import VersionDocument
from slidekeeper.ports.snapshots import Content, Versions

CHUNK = 1 << 20
ARTIFACTS = b"artifacts"


def verify_version(versions: Versions, document: VersionDocument) -> None:
    """Return if everything the version needs is there and is what its digest says; trees prove themselves while they are walked.

    Raises:
        Permanent: ``version-damaged``.
        Unavailable: the bucket cannot be used.
    """
    for listed in versions.walk(document.tree):
        if isinstance(listed.entry, FileEntry):
            with versions.open(listed.entry, listed.pack) as content:
                if _digest(content) != listed.entry.sha256:
                    raise Permanent(
                        "version-damaged", "a stored file is not what it was", "Nothing was removed; see `slidekeeper versions verify`"
                    )


def artifacts_tree(versions: Versions, document: VersionDocument) -> str:
    """The tree of what the run's folder held; empty where it held nothing."""
    trees = [
        listed.entry.tree
        for listed in versions.children(document.tree)
        if listed.path == ARTIFACTS and isinstance(listed.entry, DirectoryEntry)
    ]
    return trees[0] if trees else ""


def _digest(content: Content) -> str:
    digest = hashlib.sha256()
    offset, end = content.offset, content.offset + content.size
    try:
        while offset < end and (data := os.pread(content.descriptor, min(CHUNK, end - offset), offset)):
            digest.update(data)
            offset += len(data)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        raise Unavailable("bucket", LOST_MOUNTS.get(error.errno or 0, "io-error"), name) from None
    return digest.hexdigest()
