"""The linking table's key: 32 random bytes in a file that only the service may read, or a systemd credential.

A lost key cannot be replaced: a new one opens no old table. So none is ever made or overwritten on the way to using one.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from slidekeeper.errors import Refused
from slidekeeper.model.concealed import Concealed

KEY_BYTES = 32
CREDENTIAL = "linking.key"
RESTORE = "Restore it from the broker's backup; a new key cannot open the old table"


class Key(Concealed[bytes]):
    """32 secret bytes."""

    __slots__ = ()


def create_key(path: Path) -> None:
    """Draw a new key into a new file of mode 0600, durable on return.

    Raises:
        FileExistsError: there is one; a key is never overwritten.
    """
    _write_new(path, secrets.token_bytes(KEY_BYTES))


def load_key(path: Path, environ: Mapping[str, str]) -> Key:
    """Load the key: systemd's credential ``linking.key`` where the service has one, else the file.

    Credentials lie in memory that systemd opens to this service alone; their mode and owner say nothing (systemd.exec(5)).

    Raises:
        Refused: the key is missing, has the wrong length, belongs to somebody else, or others may read it.
    """
    folder = environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / CREDENTIAL if folder else None
    try:
        if credential is not None and credential.is_file():
            return _measured(credential.read_bytes())
        with path.open("rb") as stream:
            _check_restricted(path, os.fstat(stream.fileno()))
            return _measured(stream.read(KEY_BYTES + 1))
    except FileNotFoundError:
        raise Refused("key-missing", f"{path} is not there", RESTORE) from None
    except PermissionError:
        remedy = "Run as the service's user, or chown the file to it"
        raise Refused("key-unreadable", f"{path} cannot be read by this user", remedy) from None
    except IsADirectoryError:
        raise Refused("key-malformed", f"{path} is a folder", "Correct [site] key") from None


def install_key(key: Key, path: Path, retired: Path) -> None:
    """Put ``key`` in the place of the key file at ``path``, which stays beside it as ``retired``; durable, with owner and mode of the old.

    Raises:
        OSError: it cannot be written; the old file is still in its place.
    """
    status = path.stat()
    with suppress(FileExistsError):
        os.link(path, retired)
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    _write_new(aside, key.reveal())
    os.chown(aside, status.st_uid, status.st_gid)
    aside.replace(path)
    _sync_folder(path.parent)


def _check_restricted(path: Path, status: os.stat_result) -> None:
    """Refuse a key that anybody but this user (or root) may read."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise Refused("key-exposed", f"{path} is open to others (mode {mode:04o})", f"chmod 600 {path}")
    if status.st_uid not in {os.geteuid(), 0}:
        raise Refused("key-foreign", f"{path} belongs to user {status.st_uid}", f"chown {os.geteuid()} {path}, or run as that user")


def _write_new(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "wb") as stream:
        os.fchmod(file, 0o600)
        stream.write(data)
        stream.flush()
        os.fsync(file)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _measured(data: bytes) -> Key:
    if len(data) != KEY_BYTES:
        found = f"more than {KEY_BYTES}" if len(data) > KEY_BYTES else str(len(data))
        raise Refused("key-malformed", f"the key has {found} bytes, not {KEY_BYTES}", RESTORE)
    return Key(data)
