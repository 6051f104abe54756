"""Sorts what the operating system says of the store's file system and of a run's; its texts name files and stay here."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from slidekeeper.errors import LOST_MOUNTS, Permanent, Temporary, Unavailable

FULL_OR_CLOSED = {
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "quota-used-up",
    errno.EROFS: "read-only",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
}


def damaged(detail: str) -> Permanent:
    """A version of which something is missing, or is not what its name says."""
    return Permanent("version-damaged", detail, "See `slidekeeper versions verify`; a replica, where there is one, heals it")


@contextmanager
def store_errors() -> Iterator[None]:
    """Errors of the store's own file system; what is not there, is there already or is locked is left to the caller.

    Raises:
        Unavailable: the bucket is full, read-only, closed or gone.
        Temporary: anything else.
    """
    try:
        yield
    except (FileNotFoundError, FileExistsError, BlockingIOError):
        raise
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, "OSError")
        reason = (LOST_MOUNTS | FULL_OR_CLOSED).get(error.errno or 0)
        if reason:
            raise Unavailable("bucket", reason, name, "Make the bucket usable; work goes on by itself") from None
        raise Temporary("bucket-error", name) from None


def run_changed() -> Temporary:
    """A run that somebody still writes."""
    return Temporary("run-changed", "something changed while it was read", "Write the done-marker last")


@contextmanager
def run_errors() -> Iterator[None]:
    """Errors of a run's own file system.

    Raises:
        Temporary: ``run-changed``, something is not there any more; ``run-unreadable``.
    """
    try:
        yield
    except FileNotFoundError:
        raise run_changed() from None
    except OSError as error:
        raise Temporary("run-unreadable", errno.errorcode.get(error.errno or 0, "OSError")) from None
