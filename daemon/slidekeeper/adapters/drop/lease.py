"""Asks the kernel whether somebody has a file open for writing.

A read lease is granted only while no writer has the file open (fcntl(2), "Leases"). It is given back at once; in the microseconds
between, a writer that opens the file makes the kernel send SIGIO, which must therefore be ignored.
"""

from __future__ import annotations

import errno
import fcntl
import signal


def ignore_lease_signals() -> None:
    """Ignore SIGIO in this process; its default action would end the daemon. Call once, in the main thread."""
    signal.signal(signal.SIGIO, signal.SIG_IGN)


def has_writer(descriptor: int) -> bool:
    """Whether a writer certainly has the file open; False where the file system or missing rights leave it open."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as refused:
        return refused.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
