"""How identifiers are hidden in the linking table.

Values are found by keyed hash (HMAC-SHA-256, RFC 2104) and sealed with AES-256-GCM under random 96-bit nonces (NIST SP 800-38D). The keys
for both are drawn with the table and lie in it as a ring, which the key on disk seals in turn (keys for that derived by HKDF with
SHA-256, RFC 5869). The domain and the ring's version are authenticated with the value: a file name cannot be passed off as a barcode.

A rotation draws a new ring. Values are sealed anew; hashes, whose values may be gone, are hashed once more under a further key, so that
a ring's hashing keys are a chain. Whoever has only the old key has no hash and no value of the new table. See docs/adr/0010.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from slidekeeper.adapters.linking.keys import KEY_BYTES
from slidekeeper.errors import Refused
from slidekeeper.model.concealed import Concealed

HASH_BYTES = 32
NONCE_BYTES = 12
NONCES_AT_ONCE = 1000
FINGERPRINT_BYTES = 4
RESTORE = "Restore the key that belongs to this state from the broker's backup, or repeat a `broker rotate-key` that was interrupted"


@dataclass(frozen=True, slots=True, repr=False)
class Ring:
    """The keys of one table: ``sealing`` for values, ``hashing`` for lookups, oldest first; ``version`` counts rotations from 1."""

    version: int
    sealing: bytes
    hashing: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"<Ring {self.version}>"

    def renewed(self) -> Ring:
        """The ring after one more rotation."""
        return Ring(self.version + 1, secrets.token_bytes(KEY_BYTES), (*self.hashing, secrets.token_bytes(KEY_BYTES)))

    def wrapped(self, key: Concealed[bytes]) -> bytes:
        """The ring's keys, sealed by the key on disk."""
        plain = self.sealing + b"".join(self.hashing)
        return _encrypted(AESGCM(_derived(key, b"slidekeeper linking ring")), plain, _context("ring", self.version))


def new_ring() -> Ring:
    """The first ring of a new table."""
    return Ring(1, secrets.token_bytes(KEY_BYTES), (secrets.token_bytes(KEY_BYTES),))


def first_schema_ring(key: Concealed[bytes]) -> Ring:
    """The ring of a table from before there were rings: its keys were derived from the one on disk."""
    return Ring(1, _derived(key, b"slidekeeper linking seal"), (_derived(key, b"slidekeeper linking lookup"),))


def unwrapped(key: Concealed[bytes], version: int, wrapped: bytes) -> Ring | None:
    """The ring that :meth:`Ring.wrapped` sealed; None when another key did, or it was altered."""
    try:
        plain = _decrypted(AESGCM(_derived(key, b"slidekeeper linking ring")), wrapped, _context("ring", version))
    except InvalidTag:
        return None
    sealing, *hashing = (plain[start : start + KEY_BYTES] for start in range(0, len(plain), KEY_BYTES))
    return Ring(version, sealing, tuple(hashing))


def fingerprint(key: Concealed[bytes]) -> str:
    """8 hexadecimal digits that tell keys apart and say nothing else about them."""
    return _derived(key, b"slidekeeper linking fingerprint")[:FINGERPRINT_BYTES].hex()


class Seal:
    """Hashes and seals under one ring."""

    def __init__(self, ring: Ring) -> None:
        self.ring = ring
        first, *self._further = ring.hashing
        self._first = HMAC(first, SHA256())
        self._cipher = AESGCM(ring.sealing)

    def keyed_hash(self, domain: str, value: bytes) -> bytes:
        """:data:`HASH_BYTES` bytes by which ``value`` is found again within ``domain``."""
        (digest,) = self.keyed_hashes(domain, (value,))
        return digest

    def keyed_hashes(self, domain: str, values: Iterable[bytes]) -> Iterator[bytes]:
        """The keyed hash of each value, as :meth:`keyed_hash` has it."""
        begun = self._first.copy()
        begun.update(domain.encode() + b"\0")
        for value in values:
            keyed = begun.copy()  # several times as quick as to begin with the key each time
            keyed.update(value)
            digest = keyed.finalize()
            for key in self._further:
                digest = hmac.digest(key, digest, "sha256")
            yield digest

    def rehash(self, digest: bytes) -> bytes:
        """The keyed hash that had been ``digest`` before the last rotation."""
        return hmac.digest(self.ring.hashing[-1], digest, "sha256")

    def seal(self, domain: str, value: bytes) -> bytes:
        """``value`` encrypted: 12 bytes of nonce, the ciphertext, 16 bytes of tag."""
        return _encrypted(self._cipher, value, _context(domain, self.ring.version))

    def seal_all(self, domain: str, values: Iterable[bytes]) -> Iterator[bytes]:
        """Each value as :meth:`seal` hides it; nonces are drawn many at once."""
        encrypt, context, left = self._cipher.encrypt, _context(domain, self.ring.version), iter(values)
        while portion := list(islice(left, NONCES_AT_ONCE)):
            nonces = secrets.token_bytes(NONCE_BYTES * len(portion))
            for value, start in zip(portion, range(0, len(nonces), NONCE_BYTES), strict=True):
                nonce = nonces[start : start + NONCE_BYTES]
                yield nonce + encrypt(nonce, value, context)

    def open(self, domain: str, sealed: bytes) -> bytes:
        """The value that :meth:`seal` hid.

        Raises:
            Refused: another key sealed it, for another domain, or it was altered.
        """
        try:
            return _decrypted(self._cipher, sealed, _context(domain, self.ring.version))
        except InvalidTag:
            raise Refused("key-wrong", "this key does not open the linking table", RESTORE) from None


def as_bytes(text: str) -> bytes:
    """UTF-8; bytes of a file name that are none come back as they were (PEP 383)."""
    return text.encode("utf-8", "surrogateescape")


def as_text(data: bytes) -> str:
    """The text that :func:`as_bytes` encoded."""
    return data.decode("utf-8", "surrogateescape")


def _encrypted(cipher: AESGCM, value: bytes, context: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, value, context)


def _decrypted(cipher: AESGCM, sealed: bytes, context: bytes) -> bytes:
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)


def _context(domain: str, version: int) -> bytes:
    return f"{domain} v{version}".encode()


def _derived(key: Concealed[bytes], purpose: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(key.reveal())
