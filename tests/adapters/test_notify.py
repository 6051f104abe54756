"""What the service manager hears, through a real datagram socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slidekeeper.adapters.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end of the line."""
    address = str(tmp_path / "notify") if request.param == "path" else f"\0slidekeeper-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.settimeout(2)
        yield listening


def address_of(manager: socket.socket) -> str:
    """The socket's address as systemd writes it into NOTIFY_SOCKET."""
    address = manager.getsockname()
    return f"@{address[1:].decode()}" if isinstance(address, bytes) else str(address)


async def test_every_message_reaches_the_manager_in_order(manager: socket.socket) -> None:
    with Notifier(address_of(manager)) as notifier:
        notifier.ready()
        notifier.status("3 slides under way\nsecond line")
        await notifier.beat()
        notifier.stopping()
    heard = [manager.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1", b"STATUS=3 slides under way", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_reload_tells_its_time_on_the_monotonic_clock(manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    with Notifier(address_of(manager)) as notifier:
        notifier.reloading()
    reloading, stamp = manager.recv(4096).decode().splitlines()
    assert reloading == "RELOADING=1"
    assert before <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


async def test_without_a_manager_nothing_happens() -> None:
    with Notifier.from_environment({}) as notifier:
        notifier.ready()
        await notifier.beat()
        assert notifier.watchdog_seconds == 0.0


async def test_a_manager_that_went_away_or_does_not_listen_stops_nobody(tmp_path: Path) -> None:
    with Notifier(str(tmp_path / "nobody")) as notifier:
        notifier.ready()
        await notifier.beat()


async def test_a_full_queue_does_not_block(manager: socket.socket) -> None:
    with Notifier(address_of(manager)) as notifier:
        for _ in range(5000):
            await notifier.beat()  # nobody receives: to block would be to hang here


def test_the_watchdog_counts_only_when_it_is_meant_for_this_process() -> None:
    asked = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "30000000"}
    for environ, seconds in (
        (asked, 30.0),
        (asked | {"WATCHDOG_PID": str(os.getpid())}, 30.0),
        (asked | {"WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 0.0),
    ):
        with Notifier.from_environment(environ) as notifier:
            assert notifier.watchdog_seconds == seconds
