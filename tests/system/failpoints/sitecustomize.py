"""Kills the daemon at the Nth durability point of any of its processes; loaded by tests through PYTHONPATH, never shipped.

A durability point is a call of ``os.fsync``, ``os.fdatasync``, ``os.rename``, ``os.replace`` or an SQLite ``COMMIT``. Points are
counted in a file that all processes of the daemon share; each is passed twice, once before and once after the call takes effect,
so that odd numbers strike before it and even numbers behind it.

    FAILPOINT_COUNTER   file that holds the count
    FAILPOINT_KILL_AT   the count at which the whole process group is killed; 0 only counts
"""

import fcntl
import os
import signal
import sqlite3
from functools import wraps
from pathlib import Path


def _pass(counter: Path, kill_at: int) -> None:
    with counter.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        count = int(file.read() or 0) + 1
        file.seek(0)
        file.write(str(count))
        file.truncate()
        file.flush()
        if count == kill_at:
            os.killpg(os.getpgrp(), signal.SIGKILL)


def _around(function, strike):
    @wraps(function)
    def wrapper(*args, **kwargs):
        strike()
        result = function(*args, **kwargs)
        strike()
        return result

    return wrapper


def _install(counter: Path, kill_at: int) -> None:
    def strike() -> None:
        _pass(counter, kill_at)

    for name in ("fsync", "fdatasync", "rename", "replace"):
        setattr(os, name, _around(getattr(os, name), strike))

    class Connection(sqlite3.Connection):
        def execute(self, sql, *args):
            if sql.strip().upper().startswith("COMMIT"):
                return _around(super().execute, strike)(sql, *args)
            return super().execute(sql, *args)

        def commit(self):
            if self.in_transaction:
                strike()
                super().commit()
                strike()

    connect = sqlite3.connect

    @wraps(connect)
    def connect_counting(*args, **kwargs):
        return connect(*args, **{"factory": Connection, **kwargs})

    sqlite3.connect = connect_counting


if "FAILPOINT_COUNTER" in os.environ:
    _install(Path(os.environ["FAILPOINT_COUNTER"]), int(os.environ.get("FAILPOINT_KILL_AT", "0")))
