"""What a worker process may not do, set before it sees the first byte of an untrusted file."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing.forkserver
import os
import resource
import signal
from contextlib import suppress
from typing import Any

NICENESS = 5
"""Workers yield to the daemon, whose event loop must answer while they compute."""

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
"""Options of prctl(2)."""


def confine(memory_megabytes: int) -> None:
    """Limit this process's memory, forbid core dumps and new privileges, tie its life to its parent's, and silence its error stream.

    Native image libraries print file names, which identify patients; a core dump would hold pixels and names.
    """
    limit = memory_megabytes * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _let_the_fork_server_end()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    with suppress(PermissionError):  # a service may be forbidden to change priorities
        os.nice(NICENESS)
    _silence()
    gc.freeze()  # what the fork server imported stays: no collection need visit it, nor copy its pages by doing so


def _let_the_fork_server_end() -> None:
    """Close the alive pipe, which the fork server hands to each of its children.

    The server ends when the last writer of that pipe is gone, and our parent is the server, not the daemon: with a copy of ours open,
    a daemon that is killed would leave server and workers alive, each waiting for the other. PR_SET_PDEATHSIG must be set before.
    """
    server: Any = multiprocessing.forkserver._forkserver
    if server._forkserver_alive_fd is not None:
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = None


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
