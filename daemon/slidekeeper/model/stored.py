"""What the objects of the version store are called, relative to its root; `docs/version-store.md` is the format."""

from __future__ import annotations


def blob_key(sha256: str) -> str:
    """The key of a large file's content."""
    return f"blobs/{sha256[:2]}/{sha256}"


def pack_key(sha256: str) -> str:
    """The key of a pack of small files."""
    return f"packs/{sha256[:2]}/{sha256}.zip"


def tree_key(sha256: str) -> str:
    """The key of a directory."""
    return f"trees/{sha256[:2]}/{sha256}.json"


def version_key(project: str, number: int) -> str:
    """The key of a version's document."""
    return f"versions/{project}/{number}.json"
