"""How identifiers are hidden in the linking table.

Two keys are derived from the one on disk (HKDF with SHA-256, RFC 5869): one for keyed hashes, by which a value is found again
without being readable (HMAC-SHA-256, RFC 2104), one for sealing (AES-256-GCM with random 96-bit nonces, NIST SP 800-38D). The
domain and the key's version are authenticated with the value: a sealed file name cannot be passed off as a barcode.
"""

from __future__ import annotations

import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from slidekeeper.adapters.linking.keys import KEY_BYTES, Key
from slidekeeper.errors import Refused

NONCE_BYTES = 12
KEY_VERSION = 1
"""Stored with every value; a second key would be the second version."""


class Seal:
    """Hashes and seals under one key."""

    def __init__(self, key: Key) -> None:
        self._lookup = _derive(key, b"slidekeeper linking lookup")
        self._cipher = AESGCM(_derive(key, b"slidekeeper linking seal"))

    def keyed_hash(self, domain: str, value: bytes) -> bytes:
        """32 bytes by which ``value`` is found again within ``domain``."""
        return hmac.digest(self._lookup, domain.encode() + b"\0" + value, "sha256")

    def seal(self, domain: str, value: bytes) -> bytes:
        """``value`` encrypted: 12 bytes of nonce, the ciphertext, 16 bytes of tag."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value, _context(domain))

    def open(self, domain: str, sealed: bytes) -> bytes:
        """The value that :meth:`seal` hid.

        Raises:
            Refused: another key sealed it, for another domain, or it was altered.
        """
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _context(domain))
        except InvalidTag:
            remedy = "Restore the key that belongs to this state from the broker's backup"
            raise Refused("key-wrong", "this key does not open the linking table", remedy) from None


def _context(domain: str) -> bytes:
    return f"{domain} v{KEY_VERSION}".encode()


def _derive(key: Key, purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(key.reveal())
