"""Serves the application over a Unix socket inside the daemon's event loop; the file's mode is the login."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from slidekeeper.errors import Refused

SOCKET_PATH_LIMIT = 107
"""Longest socket path in bytes, ``sun_path`` of unix(7)."""


class _Server(uvicorn.Server):
    """Leaves signals to the daemon."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def bind_socket(path: Path, mode: int) -> socket.socket:
    """A listening Unix socket that nobody could open before it had its ``mode``.

    The caller holds the state's lock, so a socket file that is there belongs to a daemon that is gone.

    Raises:
        Refused: the path is too long for a socket.
    """
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise Refused("socket-path-too-long", f"[api] socket is longer than {SOCKET_PATH_LIMIT} bytes", "Choose a shorter path")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        door.bind(str(path))
    finally:
        os.umask(before)
    door.listen(64)
    door.setblocking(False)
    return door


class ApiServer:
    """The running API."""

    def __init__(self, app: FastAPI, door: socket.socket) -> None:
        # No access log: request bodies and paths may name folders.
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2, http="h11", ws="none")
        self._server = _Server(config)
        self._door = door

    async def run(self) -> None:
        """Serve until :meth:`stop`."""
        await self._server.serve(sockets=[self._door])

    def stop(self) -> None:
        """End open connections and return from :meth:`run`."""
        self._server.should_exit = True
