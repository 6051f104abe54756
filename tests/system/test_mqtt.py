"""Events reach a real broker: in order, at least once, also those that happened while it was away."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from system.site_under_test import Site
from writers import write_pack

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(MOSQUITTO is None or shutil.which("mosquitto_sub") is None, reason="mosquitto is not installed")

SUBSCRIBED = "received SUBACK"
PATIENCE = 30


def free_port() -> int:
    """A port on the loopback that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll ``condition``."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"timed out waiting until {what}"
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def broker(folder: Path, port: int) -> Iterator[None]:
    """A mosquitto of our own that keeps sessions across restarts."""
    folder.mkdir(exist_ok=True)
    settings = folder / "mosquitto.conf"
    # As the user who runs the test: the broker's own could not enter the folder, and would forget its sessions without a word.
    listener = f"user {getpass.getuser()}\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
    settings.write_text(f"{listener}persistence true\npersistence_location {folder}/\n")
    with subprocess.Popen([str(MOSQUITTO), "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: answers(port), "the broker answers")
            yield
        finally:
            process.terminate()


@contextmanager
def subscriber(port: int, received: Path) -> Iterator[None]:
    """Writes every message it gets as one line of JSON, between lines on what it does itself."""
    command = [
        "stdbuf",
        "-oL",
        "mosquitto_sub",
        "-d",
        "-p",
        str(port),
        "-t",
        "slidekeeper/#",
        "-q",
        "1",
        "-i",
        "listener",
        "-c",
        "-F",
        "%j",
    ]
    subscriptions = received.read_text().count(SUBSCRIBED)
    with received.open("a") as file, subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: received.read_text().count(SUBSCRIBED) > subscriptions, "the listener has subscribed")
            yield
        finally:
            process.terminate()


def messages(received: Path) -> list[dict[str, object]]:
    """Payloads in the order in which they came."""
    lines = [json.loads(line) for line in received.read_text().splitlines(keepends=True) if line.startswith("{") and line.endswith("}\n")]
    for line in lines:
        payload = json.loads(line["payload"]) if isinstance(line["payload"], str) else line["payload"]
        assert line["topic"] == f"slidekeeper/site/events/{payload['type'].removeprefix('slidekeeper.')}"
    return [json.loads(line["payload"]) if isinstance(line["payload"], str) else line["payload"] for line in lines]


def ids(received: Path) -> list[object]:
    """Ids of the events in the order in which they came."""
    return [message["id"] for message in messages(received)]


def test_every_event_arrives_in_order_even_if_the_broker_was_away(tmp_path: Path) -> None:
    port = free_port()
    received = tmp_path / "received"
    received.touch()
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site.create(folder, mqtt__host="127.0.0.1", mqtt__port=port, mqtt__reconnect_seconds=0.2)
    with broker(tmp_path / "broker", port), subscriber(port, received):
        pass  # from here on the broker keeps what it cannot deliver yet
    site.start()
    try:
        write_pack(site.drop, seed=1)
        site.wait_at_rest(1)
        with broker(tmp_path / "broker", port), subscriber(port, received):
            site.wait_until(lambda: (site.status() or {}).get("unpublished") == 0, 20, "the backlog is published")
        write_pack(site.drop, seed=2)
        site.wait_at_rest(2)
        assert (site.status() or {})["unpublished"] > 0
        with broker(tmp_path / "broker", port), subscriber(port, received):
            site.wait_until(lambda: (site.status() or {}).get("unpublished") == 0, 20, "the second backlog is published")
            journal = [event["id"] for event in site.events()]
            until(lambda: set(journal) <= set(ids(received)), "all events have arrived")
    finally:
        site.kill()
    assert list(dict.fromkeys(ids(received))) == journal
