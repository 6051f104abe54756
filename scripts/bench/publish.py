"""Seconds and memory of a publication: a catalog of many slides, and records of many rows from few and from many files.

.venv/bin/python scripts/bench/publish.py --slides 1000000 --rows 1000000

Each publication runs in a process of its own, whose memory before and at its peak is told.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from made_records import recorded, write_batch
from prefill import FIRST_NUMBER, fill_catalog

from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.messages.events import ConsentWithdrawn
from slidekeeper.model.identity import SlideNumber
from slidekeeper.settings.sections import CatalogSettings

SETTINGS = CatalogSettings()
WITHDRAWAL = ConsentWithdrawn(withdrawal="bench", slides=(SlideNumber(str(FIRST_NUMBER + 7)),), others=(), by="bench")

Measured = Callable[[Path, str], Coroutine[Any, Any, None]]


def open_catalog(folder: Path) -> DuckdbCatalog:
    """The catalog as the daemon opens it with default settings."""
    return DuckdbCatalog.open(folder / "catalog.duckdb", SETTINGS.memory_megabytes, SETTINGS.threads, folder / "bucket")


async def fill(folder: Path, slides: int, batches: int, rows: int) -> None:
    """A catalog of ``slides``, and ``batches`` with ``rows`` rows each."""
    await open_catalog(folder).close()
    fill_catalog(folder / "catalog.duckdb", slides, 0)
    catalog = open_catalog(folder)
    position = 0
    for number in range(batches):
        page = recorded(write_batch(folder / "bucket", number, rows), position)
        await catalog.project(page, position := position + len(page))
    await catalog.close()


def resident(field: str) -> int:
    """Megabytes of this process: ``VmRSS`` now, ``VmHWM`` at most."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) // 1024


async def told(name: str, action: Coroutine[Any, Any, None]) -> None:
    """Do it, and tell what it took."""
    before, started, worked = resident("VmRSS"), time.perf_counter(), time.process_time()
    await action
    seconds, busy = time.perf_counter() - started, time.process_time() - worked
    print(f"{name:45} {seconds:6.2f} s, of the processor {busy:6.2f} s   memory {before} -> {resident('VmHWM')} MB", flush=True)


async def publish(folder: Path, name: str) -> None:
    """Publish everything once, and once more when nothing changed."""
    catalog = open_catalog(folder)
    await told(name, catalog.publish(folder / "published"))
    await told("    again, nothing changed", catalog.publish(folder / "published"))
    await catalog.close()


async def compact(folder: Path, name: str) -> None:
    """Make the file anew, as after a withdrawal."""
    catalog = open_catalog(folder)
    await catalog.project(recorded([WITHDRAWAL], 10**9), 10**9 + 1)
    await told(name, catalog.compact())
    await catalog.close()


def apart(action: Measured, folder: Path, name: str) -> None:
    """Run in a process of its own, so that its memory is its own."""
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(action, folder, name))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"{name} failed")


def _run(action: Measured, folder: Path, name: str) -> None:
    asyncio.run(action(folder, name))


def measure(slides: int, rows: int) -> None:
    """Slides alone; then rows in one file, and in a thousand."""
    for count, batches in ((slides, 0), (0, 1), (0, 1000)):
        with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-") as name:
            folder = Path(name)
            asyncio.run(fill(folder, count, batches, rows // max(1, batches)))
            apart(publish, folder, f"{count:,} slides" if count else f"{rows:,} rows x 40 columns, {batches:,} files")
            if count:
                apart(compact, folder, f"{count:,} slides, made anew after a withdrawal")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    measure(options.slides, options.rows)
