"""Where the version store keeps what: names and permissions of everything below ``<bucket>/protected/``."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

STORE = "protected"
"""The store's folder in the bucket."""
VERSIONS = "versions"
BLOBS = "blobs"
PACKS = "packs"
TREES = "trees"
ASIDE = ".aside"
"""What is being written; nothing in it belongs to a version."""
LOCK = ".lock"
"""Held shared by whoever adds, exclusively by whoever removes, so that nothing is removed that is about to be used again."""
README = "README.txt"

SUFFIXES = {BLOBS: "", PACKS: ".zip", TREES: ".json"}
ObjectKind: TypeAlias = Literal["blobs", "packs", "trees"]

SMALL_BYTES = 64 * 1024
"""Files up to this size go into packs, larger ones are blobs."""

FILE_MODE = 0o444
FOLDER_MODE = 0o555
WRITABLE_FOLDER_MODE = 0o755

OBJECT_KEY = re.compile(r"(?P<kind>blobs|packs|trees)/(?P<prefix>[0-9a-f]{2})/(?P<digest>(?P=prefix)[0-9a-f]{62})(?:\.zip|\.json)?")
VERSION_KEY = re.compile(r"versions/(?P<project>[A-Za-z0-9][A-Za-z0-9._-]{0,99})/(?P<number>[1-9][0-9]{0,8})\.json")
VERSION_FILE = re.compile(r"([1-9][0-9]{0,8})\.json")
PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def object_key(kind: ObjectKind, digest: str) -> str:
    """The key of a blob, pack or tree, relative to the store's root."""
    return f"{kind}/{digest[:2]}/{digest}{SUFFIXES[kind]}"


def version_key(project: str, number: int) -> str:
    """The key of a version."""
    return f"{VERSIONS}/{project}/{number}.json"
