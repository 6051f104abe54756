"""Hints wake the scan for all that happens below the root, at any depth, and say so when they cannot be complete."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import slidekeeper
from slidekeeper.adapters.drop.hints import MANY, InotifyHints, NoHints
from slidekeeper.model.phi import RelativePath

PATIENCE = 10.0

LIMITED = """
import asyncio, sys
from pathlib import Path
from slidekeeper.adapters.drop.hints import InotifyHints

async def main():
    hints = InotifyHints(Path(sys.argv[1]))
    hints.start()
    print(hints.degraded, hints.is_deaf(), hints.watches(), sep="|")

asyncio.run(main())
"""


class Listener:
    """Started hints on a root, and all they said."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hints = InotifyHints(root)
        self.hints.start()
        self._said = self.hints.paths()

    async def hear(self) -> frozenset[RelativePath] | None:
        """What comes next."""
        async with asyncio.timeout(PATIENCE):
            return await anext(self._said)

    async def hear_of(self, *paths: bytes) -> None:
        """Listen until every path, or a directory above it, was named."""
        missing = set(paths)
        while missing:
            said = await self.hear()
            assert said is not None
            named = {path.reveal() for path in said}
            missing = {path for path in missing if not any(path == name or path.startswith(name + b"/") for name in named)}


@pytest_asyncio.fixture
async def listener(tmp_path: Path) -> AsyncIterator[Listener]:
    """A watched, empty folder."""
    root = tmp_path / "drop"
    root.mkdir()
    listener = Listener(root)
    yield listener
    listener.hints.stop()


async def test_a_new_file_wakes(listener: Listener) -> None:
    (listener.root / "a.svs").write_bytes(b"slide")
    await listener.hear_of(b"a.svs")


async def test_a_closed_file_wakes_again(listener: Listener) -> None:
    with (listener.root / "a.svs").open("wb") as stream:
        await listener.hear_of(b"a.svs")
        stream.write(b"slide")
    await listener.hear_of(b"a.svs")


async def test_a_file_renamed_to_its_final_name_wakes(listener: Listener) -> None:
    (listener.root / "a.svs.part").write_bytes(b"slide")
    await listener.hear_of(b"a.svs.part")
    (listener.root / "a.svs.part").rename(listener.root / "a.svs")
    await listener.hear_of(b"a.svs")


async def test_a_file_moved_in_from_outside_wakes(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"slide")
    (tmp_path / "a.svs").rename(listener.root / "a.svs")
    await listener.hear_of(b"a.svs")


async def test_a_file_in_new_nested_folders_wakes(listener: Listener) -> None:
    (listener.root / "x/y/z").mkdir(parents=True)
    (listener.root / "x/y/z/a.svs").write_bytes(b"slide")
    await listener.hear_of(b"x/y/z/a.svs")


async def test_a_file_written_later_into_a_new_folder_wakes(listener: Listener) -> None:
    (listener.root / "x").mkdir()
    await listener.hear_of(b"x")
    while (listener.hints.watches() or 0) < 2:
        await asyncio.sleep(0.02)
    (listener.root / "x/a.svs").write_bytes(b"slide")
    await listener.hear_of(b"x/a.svs")


async def test_a_whole_folder_moved_in_wakes(listener: Listener, tmp_path: Path) -> None:
    (tmp_path / "session/deep").mkdir(parents=True)
    (tmp_path / "session/deep/a.svs").write_bytes(b"slide")
    (tmp_path / "session").rename(listener.root / "session")
    await listener.hear_of(b"session/deep/a.svs")


async def test_many_events_come_coalesced(listener: Listener) -> None:
    for number in range(50):
        (listener.root / f"{number}.svs").write_bytes(b"")
    calls, missing = 0, {f"{number}.svs".encode() for number in range(50)}
    while missing:
        said = await listener.hear()
        calls += 1
        missing -= {path.reveal() for path in said or ()}
    assert calls < 25


async def test_any_name_comes_as_the_bytes_it_is(listener: Listener) -> None:
    for name in (b"\xff\xfe.svs", b"new\nline.svs"):
        (listener.root / os.fsdecode(name)).touch()
    await listener.hear_of(b"\xff\xfe.svs", b"new\nline.svs")


async def test_an_overflow_asks_for_everything(listener: Listener) -> None:
    logging.getLogger("watchdog.observers.inotify_c").warning("Inotify queue overflowed; filesystem events were lost")
    assert await listener.hear() is None


async def test_more_hints_than_a_scan_costs_ask_for_everything(listener: Listener) -> None:
    listener.hints._events.extend(os.fsencode(listener.root) + b"/%d" % number for number in range(MANY + 1))
    (listener.root / "a.svs").touch()
    assert await listener.hear() is None


async def test_what_watchdog_logs_goes_nowhere(listener: Listener, capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[logging.LogRecord] = []
    ear = logging.Handler()
    ear.emit = heard.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(ear)
    try:
        logging.getLogger("watchdog.observers").error("cannot watch /drop/%s", "Doe^Jane")
    finally:
        logging.getLogger().removeHandler(ear)
    assert (heard, "Doe" in capfd.readouterr().err) == ([], False)


async def test_a_replaced_root_makes_deaf_until_started_anew(listener: Listener) -> None:
    assert not listener.hints.is_deaf()
    listener.root.rename(listener.root.with_name("old"))
    assert listener.hints.is_deaf()
    listener.root.mkdir()
    assert listener.hints.is_deaf()
    listener.hints.start()
    assert not listener.hints.is_deaf()
    (listener.root / "a.svs").touch()
    await listener.hear_of(b"a.svs")


async def test_a_removed_root_makes_deaf(listener: Listener) -> None:
    shutil.rmtree(listener.root)
    assert listener.hints.is_deaf()


async def test_every_folder_holds_a_watch(tmp_path: Path) -> None:
    (tmp_path / "x/y").mkdir(parents=True)
    hints = InotifyHints(tmp_path)
    before = hints.watches()
    hints.start()
    assert (before, hints.watches()) == (None, 3)
    hints.stop()
    assert hints.watches() is None


async def test_each_root_counts_its_own_watches(tmp_path: Path) -> None:
    for folder in ("one/x/y", "two"):
        (tmp_path / folder).mkdir(parents=True)
    one, two = InotifyHints(tmp_path / "one"), InotifyHints(tmp_path / "two")
    one.start()
    two.start()
    assert (one.watches(), two.watches()) == (3, 1)
    one.stop()
    assert (one.watches(), two.watches()) == (None, 1)
    two.stop()


async def test_an_emitter_that_died_makes_deaf_until_started_anew(listener: Listener) -> None:
    assert listener.hints._observer is not None
    (emitter,) = listener.hints._observer.emitters
    emitter.stop()
    emitter.join()
    assert listener.hints.is_deaf()
    listener.hints.start()
    assert not listener.hints.is_deaf()
    (listener.root / "a.svs").touch()
    await listener.hear_of(b"a.svs")


OVERFLOWED = """
import asyncio, os, signal, sys
from pathlib import Path
from slidekeeper.adapters.drop.hints import InotifyHints

async def main():
    hints = InotifyHints(Path(sys.argv[1]))
    hints.start()
    os.kill(os.getpid(), signal.SIGSTOP)
    async with asyncio.timeout(20):
        async for paths in hints.paths():
            if paths is None:
                print("everything")
                return

asyncio.run(main())
"""


def test_a_queue_that_really_overflows_asks_for_everything(tmp_path: Path) -> None:
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if queue > 100_000:
        pytest.skip("the queue is too long here to be filled by a test")
    environment = {**os.environ, "PYTHONPATH": str(Path(slidekeeper.__file__).parents[1])}
    listener = subprocess.Popen([sys.executable, "-c", OVERFLOWED, str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        os.waitpid(listener.pid, os.WUNTRACED)  # it listens, and is too slow to read
        for _ in range(queue // 2 + 100):  # an event for the creation, and one for the closing
            (tmp_path / "a.svs").write_bytes(b"")
            (tmp_path / "a.svs").unlink()
        listener.send_signal(signal.SIGCONT)
        told, _ = listener.communicate(timeout=30)
    finally:
        listener.kill()
    assert told.strip() == "everything"


async def test_starting_on_a_missing_root_does_not_raise_but_shows(tmp_path: Path) -> None:
    hints = InotifyHints(tmp_path / "never")
    hints.start()
    assert (hints.degraded, hints.is_deaf(), hints.watches()) == ("unreachable", False, None)
    hints.stop()


async def test_failed_starts_hold_no_descriptors(tmp_path: Path) -> None:
    hints = InotifyHints(tmp_path / "never")
    hints.start()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        hints.start()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    hints.stop()


async def test_whatever_goes_wrong_on_starting_does_not_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more_threads(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("watchdog.observers.api.BaseObserver.start", no_more_threads)
    hints = InotifyHints(tmp_path)
    hints.start()
    assert (hints.degraded, hints.watches()) == ("watch-failed", None)
    hints.stop()


async def test_hints_that_could_be_started_again_are_no_longer_degraded(tmp_path: Path) -> None:
    hints = InotifyHints(tmp_path / "late")
    hints.start()
    (tmp_path / "late").mkdir()
    hints.start()
    assert (hints.degraded, hints.is_deaf()) == ("", False)
    hints.stop()


async def test_starting_again_and_again_leaves_nothing_behind(tmp_path: Path) -> None:
    hints = InotifyHints(tmp_path)
    before = len(logging.getLogger("watchdog").handlers)
    for _ in range(5):
        hints.start()
    hints.stop()
    assert len(logging.getLogger("watchdog").handlers) <= before + 1


def limited(root: Path, limit: str, value: int) -> list[str]:
    """What hints on ``root`` tell of themselves in a process with a low limit: degraded, deaf, watches."""
    if shutil.which("unshare") is None:
        pytest.skip("limits cannot be lowered here")
    lower = ["unshare", "--user", "--map-root-user", "sh", "-c", f'echo {value} > /proc/sys/user/{limit} && exec "$@"', "sh"]
    if subprocess.run([*lower, "true"], check=False, capture_output=True).returncode:
        pytest.skip("limits cannot be lowered here")
    environment = {**os.environ, "PYTHONPATH": str(Path(slidekeeper.__file__).parents[1])}
    command = [*lower, sys.executable, "-c", LIMITED, str(root)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    return told.stdout.strip().split("|")


@pytest.fixture
def ten_folders(tmp_path: Path) -> Path:
    """A root that needs eleven watches."""
    for number in range(10):
        (tmp_path / f"folder{number}").mkdir()
    return tmp_path


def test_without_any_watch_hints_are_degraded(ten_folders: Path) -> None:
    assert limited(ten_folders, "max_inotify_watches", 0) == ["watch-limit", "False", "None"]


def test_with_too_few_watches_their_number_tells(ten_folders: Path) -> None:
    assert limited(ten_folders, "max_inotify_watches", 5) == ["", "False", "5"]


def test_without_an_inotify_instance_hints_are_degraded(ten_folders: Path) -> None:
    assert limited(ten_folders, "max_inotify_instances", 0) == ["watch-limit", "False", "None"]


async def test_where_nothing_can_be_seen_nothing_is_promised() -> None:
    hints = NoHints()
    hints.start()
    assert (hints.is_deaf(), hints.watches(), hints.degraded) == (False, None, "")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await anext(hints.paths())
    hints.stop()
