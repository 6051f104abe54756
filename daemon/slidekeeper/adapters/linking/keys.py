"""The linking table's key: 32 random bytes in a file that only the service may read, or a systemd credential."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from slidekeeper.errors import Refused
from slidekeeper.model.concealed import Concealed

KEY_BYTES = 32
CREDENTIAL = "linking.key"


class Key(Concealed[bytes]):
    """32 secret bytes."""

    __slots__ = ()


def create_key(path: Path) -> None:
    """Draw a new key into a new file of mode 0600.

    Raises:
        FileExistsError: there is one; a key is never overwritten.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(secrets.token_bytes(KEY_BYTES))
        stream.flush()
        os.fsync(stream.fileno())


def load_key(path: Path, environ: Mapping[str, str]) -> Key:
    """Load the key: systemd's credential ``linking.key`` where the service has one, else the file.

    Raises:
        Refused: the key is missing, has the wrong length, or others may read it.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / CREDENTIAL if folder else None
    if credential is not None and credential.is_file():
        return _checked(credential.read_bytes())
    try:
        status = path.stat()
        data = path.read_bytes()
    except FileNotFoundError:
        raise Refused("key-missing", f"{path} is not there", "Restore it from the broker's backup; a new key cannot open the old table") from None
    except PermissionError:
        raise Refused("key-unreadable", f"{path} belongs to another user", "Run as the service's user") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Refused("key-exposed", f"{path} can be read by others (mode {stat.S_IMODE(status.st_mode):04o})", f"chmod 600 {path}")
    return _checked(data)


def _checked(data: bytes) -> Key:
    if len(data) != KEY_BYTES:
        raise Refused("key-malformed", f"the key has {len(data)} bytes, not {KEY_BYTES}", "Restore it from the broker's backup")
    return Key(data)
