"""The reconciling scan of a drop folder whose files are all known already: seconds and memory.

.venv/bin/python scripts/bench/scan.py --files 1000000 --directories 10000

Against ``find -printf %s``, which asks for every file's size, on the same tree in the same run. The first scan has directories
to go by; the second lists every directory anew, as one scan a day does.
"""

from __future__ import annotations

import argparse
import os
import resource
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from slidekeeper.adapters.drop.index import connect
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.drop.scan import TreeScan
from slidekeeper.ports.drop import Portion
from slidekeeper.settings.sections import DropSettings

YESTERDAY = 2 * 86400
LONG_AGO = 1_000_000_000


def make_tree(root: Path, index: Path, files: int, directories: int) -> None:
    """Empty files, and an index that knows every one."""
    connection = connect(index)
    connection.execute("PRAGMA synchronous = OFF")
    for number in range(directories):
        folder = root / f"{number:06d}"
        folder.mkdir()
        names = [f"S26-{number};{each};1.svs" for each in range(files // directories)]
        for name in names:
            (folder / name).touch()
        connection.execute("BEGIN")
        rows = (known(folder / name) for name in names)
        connection.executemany("INSERT INTO files VALUES ('bench', ?, ?, ?, ?, ?, ?, 'image')", rows)
        connection.execute("COMMIT")
    folders = [root, *root.iterdir()]
    for folder in folders:
        os.utime(folder, (LONG_AGO, LONG_AGO))
    listings = [(b"" if path == root else bytes(path.relative_to(root)), path.stat().st_mtime_ns) for path in folders]
    connection.executemany("INSERT OR REPLACE INTO directories VALUES ('bench', ?, ?, ?)", ((*row, time.time()) for row in listings))
    connection.close()


def known(path: Path) -> tuple[object, ...]:
    """The index's row of one file."""
    status = path.stat()
    return bytes(path.parent.name, "ascii"), bytes(path.name, "ascii"), status.st_size, status.st_mtime_ns, status.st_ctime_ns, path.name


def timed(portions: Iterator[Portion]) -> tuple[float, int]:
    """Seconds, and files that were not known (none)."""
    started = time.perf_counter()
    unknown = sum(len(portion.sightings) for portion in portions)
    return time.perf_counter() - started, unknown


def megabytes() -> float:
    """Highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(folder: Path, files: int, directories: int) -> None:
    """Build, scan twice, compare."""
    root, index = folder / "drop", folder / "intake.sqlite"
    root.mkdir()
    make_tree(root, index, files, directories)
    before = megabytes()
    scan = TreeScan(PosixDrop("bench", root), index, DropSettings(path=root).ignore)
    seconds, unknown = timed(scan.everything())
    print(f"{files:,} known files in {directories:,} directories; {unknown} unknown")
    print(f"  scan, directories unchanged        {seconds:6.2f} s   {megabytes():.0f} MB resident ({megabytes() - before:+.0f} MB)")
    with sqlite3.connect(index) as connection:
        connection.execute("UPDATE directories SET listed = listed - ?", (YESTERDAY,))
    seconds, unknown = timed(scan.everything())
    print(f"  scan, every directory listed anew  {seconds:6.2f} s   {megabytes():.0f} MB resident; {unknown} unknown")
    started = time.perf_counter()
    subprocess.run(["find", root, "-type", "f", "-printf", "%s"], check=True, stdout=subprocess.DEVNULL)
    print(f"  find -printf %s                    {time.perf_counter() - started:6.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--directories", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-") as place:
        measure(Path(place), options.files, options.directories)
