"""Nothing that hangs holds the process longer than its stop may take."""

from __future__ import annotations

import os
import subprocess
import sys

HANGS = """
import asyncio, threading
from slidekeeper.bootstrap.stopping import CLOSING_SECONDS, leave_in_time

async def main():
    leave_in_time(0.2 - CLOSING_SECONDS)
    await asyncio.wait_for(asyncio.to_thread(threading.Event().wait), 0.1)

asyncio.run(main())
"""


def test_a_thread_that_hangs_is_left_behind() -> None:
    """A loop that ends waits for its threads, and so does the interpreter: one in a call on a dead server would never return."""
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, timeout=30, text=True, check=False)
    assert ended.returncode == os.EX_OK
    assert "took too long" in ended.stdout + ended.stderr
