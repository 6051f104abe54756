"""What the daemon owes its supervisor: beats with a margin, and a reload that holds up nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from slidekeeper.adapters.notify import Notifier
from slidekeeper.bootstrap import daemon
from slidekeeper.bootstrap.daemon import Reloads, beat_interval
from slidekeeper.bootstrap.initialize import initialize_site
from slidekeeper.settings.loader import load_settings


def test_the_latest_beat_comes_in_half_of_the_watchdogs_time() -> None:
    latest = 2 * beat_interval(30)  # the journal may take a whole interval to answer, and then the next look is an interval away
    assert latest <= 15


def test_without_a_watchdog_it_is_looked_all_the_same() -> None:
    assert beat_interval(0.0) > 0


async def test_a_reload_holds_up_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    initialize_site(tmp_path)
    settings = load_settings(tmp_path / "slidekeeper.toml", environ={})

    let_go, waited_for_us = threading.Event(), []

    def on_a_slow_share(*arguments: Any) -> Any:
        waited_for_us.append(let_go.wait(20))
        return settings

    monkeypatch.setattr(daemon, "load_settings", on_a_slow_share)
    monkeypatch.setattr(daemon, "configure_logging", lambda _: None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, Notifier(str(tmp_path / "notify")) as notifier:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        Reloads(settings, notifier).begin()
        async with asyncio.timeout(30):
            assert (await asyncio.get_running_loop().sock_recv(manager, 100)).startswith(b"RELOADING=1")
            let_go.set()
            assert await asyncio.get_running_loop().sock_recv(manager, 100) == b"READY=1"
    assert waited_for_us == [True]
