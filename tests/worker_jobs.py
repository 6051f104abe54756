"""Jobs that worker processes can import: well-behaved ones, failing ones, and all the ways in which a native library goes wrong."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import sys
import time
from pathlib import Path

from pebble.pool.channel import WorkerChannel

from slidekeeper.errors import SlidekeeperError, SourceChanged

NAME = "Doe^Jane"


def double(number: int) -> int:
    """Work as it should."""
    return 2 * number


def pid(_: object) -> int:
    """Tell the worker's process id."""
    return os.getpid()


def raise_it(error: Exception) -> None:
    """Fail with the given error."""
    raise error


def raise_named(_: object) -> None:
    """Fail with an error whose text identifies somebody."""
    raise ValueError(f"cannot read /drop/{NAME}.svs")


def raise_ours_after_named(_: object) -> None:
    """Fail with an error of ours while handling one that identifies somebody."""
    try:
        raise_named(None)
    except ValueError:
        raise SourceChanged("source-changed", "gone") from None


def crash(_: object) -> None:
    """Read where nothing is."""
    ctypes.string_at(0)


def leave(_: object) -> None:
    """Call exit."""
    sys.exit(3)


def spin(_: object) -> None:
    """Never end, and use a core for it."""
    while True:
        pass


def wait(marker: Path) -> None:
    """Write the process id to ``marker``, then sleep for long."""
    part = marker.with_suffix(".part")
    part.write_text(str(os.getpid()))
    part.rename(marker)
    time.sleep(600)


def hoard(_: object) -> int:
    """Ask for far more memory than a worker may use."""
    return len(bytearray(8_000_000_000))


def chatter(_: object) -> None:
    """Print identifiers, as native libraries do."""
    print(NAME, flush=True)
    print(NAME, file=sys.stderr, flush=True)
    os.write(1, NAME.encode())
    os.write(2, NAME.encode())
    ctypes.CDLL(None).puts(NAME.encode())


def confinement(_: object) -> tuple[int, int, str]:
    """Limits of memory and of core dumps in bytes, and the line on new privileges of proc_pid_status(5)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    privileges = next(line for line in lines if line.startswith("NoNewPrivs"))
    return resource.getrlimit(resource.RLIMIT_AS)[0], resource.getrlimit(resource.RLIMIT_CORE)[0], privileges.split()[1]


def error_classes() -> list[type[SlidekeeperError]]:
    """Every class of error, those of errors.py and below."""
    found: list[type[SlidekeeperError]] = [SlidekeeperError]
    for known in found:
        found += [below for below in known.__subclasses__() if below not in found]
    return found


def die_with_the_lock(_: object) -> None:
    """Be killed while fetching a job: nobody else can fetch one any more."""
    gc.unfreeze()  # what is frozen is not listed
    channel = next(known for known in gc.get_objects() if isinstance(known, WorkerChannel))
    channel.mutex.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def leave_rows(place: Path) -> None:
    """Leave something in a file."""
    place.write_bytes(b"rows")


def find_rows(place: Path) -> bytes:
    """What a file holds."""
    return place.read_bytes()
