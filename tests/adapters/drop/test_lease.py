"""A file that a local writer has open is known to be written, and asking disturbs nobody."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slidekeeper.adapters.drop.lease import has_writer, ignore_lease_signals


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A closed file on a file system that knows leases."""
    before = signal.getsignal(signal.SIGIO)
    ignore_lease_signals()
    path = tmp_path / "slide.svs"
    path.write_bytes(b"slide")
    with path.open("rb") as probe:
        try:
            fcntl.fcntl(probe, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(probe, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError:
            pytest.skip("this file system knows no leases")
    yield path
    signal.signal(signal.SIGIO, before)


def asked(path: Path) -> bool:
    """Ask about a file through a descriptor of our own."""
    with path.open("rb") as stream:
        return has_writer(stream.fileno())


def test_a_closed_file_has_no_writer(path: Path) -> None:
    assert not asked(path)


@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_a_file_open_for_writing_has_a_writer(path: Path, mode: str) -> None:
    with path.open(mode):
        assert asked(path)
    assert not asked(path)


def test_a_reader_is_no_writer(path: Path) -> None:
    with path.open("rb"):
        assert not asked(path)


def test_another_processes_writer_is_seen(path: Path) -> None:
    script = "import sys; stream = open(sys.argv[1], 'ab'); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"open\n"
        assert asked(path)
        writer.communicate()
    assert not asked(path)


def test_the_lease_is_given_back(path: Path) -> None:
    with path.open("rb") as stream:
        has_writer(stream.fileno())
        assert fcntl.fcntl(stream, fcntl.F_GETLEASE) == fcntl.F_UNLCK
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.close(descriptor)


def test_where_it_cannot_be_told_nobody_is_accused(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        assert not has_writer(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.usefixtures("path")
def test_the_lease_signal_does_not_end_the_process() -> None:
    os.kill(os.getpid(), signal.SIGIO)
    assert signal.getsignal(signal.SIGIO) is signal.SIG_IGN
