"""Serves the application over a Unix socket inside the daemon's event loop; the file's mode is the login."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from slidekeeper.errors import Refused

SOCKET_PATH_LIMIT = 107
"""Longest socket path in bytes, ``sun_path`` of unix(7)."""


PEER_USER = "peer_user"
"""Where a request's state holds the user id of the process at the other end of the socket."""
CREDENTIALS = struct.Struct("3i")
"""``struct ucred`` of unix(7): process, user, group."""


class _KnowsItsPeer(H11Protocol):
    """Asks the kernel who opened the connection (SO_PEERCRED): what a client says of itself proves nothing."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Keep the peer's user id for every request of this connection."""
        super().connection_made(transport)
        door = transport.get_extra_info("socket")
        _, user, _ = CREDENTIALS.unpack(door.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        self.app_state = {**self.app_state, PEER_USER: user}


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
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2, http=_KnowsItsPeer, ws="none"
        )
        self._server = _Server(config)
        self._door = door

    async def run(self) -> None:
        """Serve until :meth:`stop`."""
        await self._server.serve(sockets=[self._door])

    def stop(self) -> None:
        """End open connections and return from :meth:`run`."""
        self._server.should_exit = True
