"""Runs the site's own programs: no shell, next to no environment, a time limit that holds for all they start."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from slidekeeper.ports.cleaning import ScriptOutcome

ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
FOLDER = "/"
OUTPUT_LIMIT = 10_000
CHUNK = 65_536
NOT_STARTED = 127
"""What a shell answers where there is no such program."""


@dataclass(frozen=True, slots=True)
class SubprocessScripts:
    """Implements :class:`slidekeeper.ports.cleaning.Scripts`."""

    async def run(self, program: Path, facts: bytes, within_seconds: float) -> ScriptOutcome:
        """Run one program in a process group of its own."""
        began = monotonic()
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=ENVIRONMENT,
                cwd=FOLDER,
                start_new_session=True,
            )
        except OSError as error:
            return ScriptOutcome(NOT_STARTED, False, monotonic() - began, f"cannot be started: {os.strerror(error.errno or 0)}")
        output = bytearray()
        timed_out = False
        try:
            async with asyncio.timeout(within_seconds):
                await asyncio.gather(_feed(process, facts), _drain(process, output), process.wait())
        except TimeoutError:
            timed_out = True
        finally:
            _kill_group(process.pid)  # also what a script has left running behind it
        code = await process.wait()
        return ScriptOutcome(code, timed_out, monotonic() - began, output.decode(errors="replace"))


async def _feed(process: asyncio.subprocess.Process, facts: bytes) -> None:
    """Hand over the facts; a script need not read them."""
    if process.stdin is not None:
        with suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(facts)
            await process.stdin.drain()
        process.stdin.close()


async def _drain(process: asyncio.subprocess.Process, output: bytearray) -> None:
    """Read all that is written, so that nothing blocks, and keep its beginning."""
    while process.stdout is not None and (data := await process.stdout.read(CHUNK)):
        output += data[: OUTPUT_LIMIT - len(output)]


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
