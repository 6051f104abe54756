"""A version's document as bytes: it carries its own digest, for no other name or file tells what it must be.

The digest is the SHA-256 of the file with the 64 digits taken out of it, so that ``sed`` and ``sha256sum`` verify it.
"""

from __future__ import annotations

import hashlib
import re

from slidekeeper.model.version import VersionDocument

DIGEST = re.compile(rb'(?<="digest": ")[0-9a-f]{64}(?=")')
UNSEALED = b'"digest": ""'


def encode_document(document: VersionDocument) -> bytes:
    """The bytes of ``versions/<project>/<n>.json``."""
    bare = document.model_copy(update={"digest": ""}).model_dump_json(indent=2).encode() + b"\n"
    return _with_digest(bare, hashlib.sha256(bare).hexdigest())


def decode_document(data: bytes) -> VersionDocument:
    """The version that :func:`encode_document` wrote.

    Raises:
        ValueError: it is none, or some byte of it has changed.
    """
    document = VersionDocument.model_validate_json(data)
    bare = DIGEST.sub(b"", data)
    if document.digest != hashlib.sha256(bare).hexdigest() or _with_digest(bare, document.digest) != data:
        raise ValueError("the document is not what it was")
    return document


def _with_digest(bare: bytes, digest: str) -> bytes:
    """The digest is the last field: a message cannot stand before it and be taken for it."""
    head, _, tail = bare.rpartition(UNSEALED)
    return head + UNSEALED[:-1] + digest.encode() + b'"' + tail
