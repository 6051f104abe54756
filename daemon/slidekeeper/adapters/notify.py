"""Tells systemd how the daemon is: sd_notify(3) over its datagram socket. Without that socket everything here does nothing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

MICROSECONDS = 1_000_000


class Notifier:
    """The line to the service manager.

    Messages never wait and never fail: a service manager that does not listen is no reason to stop working.
    """

    def __init__(self, address: str = "", watchdog_seconds: float = 0.0) -> None:
        """``address`` as in ``NOTIFY_SOCKET``: a path, or a name with ``@`` before it in the abstract namespace; empty for none."""
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket:
            self._socket.setblocking(False)
        self.watchdog_seconds = watchdog_seconds
        """A beat must come at least this often; 0.0 when nobody waits for beats."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Notifier:
        """What the service manager asked for: ``NOTIFY_SOCKET``, and ``WATCHDOG_USEC`` when it is meant for this process."""
        address = environ.get("NOTIFY_SOCKET", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        microseconds = environ.get("WATCHDOG_USEC", "0") if address and ours else "0"
        return cls(address, int(microseconds) / MICROSECONDS)

    def __enter__(self) -> Notifier:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def ready(self) -> None:
        """The service is up, or has finished reloading."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for ``systemctl status``; it must name nobody."""
        self._send(f"STATUS={text.splitlines()[0] if text else ''}")

    async def beat(self) -> None:
        """All is well: put off the watchdog."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Settings are being read again; :meth:`ready` ends that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The service is going down on purpose."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Hang up."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket:
            with suppress(OSError):
                self._socket.sendto(message.encode(), self._address)
