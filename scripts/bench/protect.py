#!/usr/bin/env python3
"""Measures protecting a run against copying it, and against restic and borg where they are installed; rounds alternate, medians count.

A is 12 files of 250 MB, B is 1.5 GB in 5 files and 20,000 small ones. Each repository lies on the file system of the run, as a copy of it
would. Every program's time ends when what it wrote is on the disk.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from slidekeeper.adapters.snapshots.posix import PosixSnapshots
from slidekeeper.model.version import RunOfVersion
from slidekeeper.ports.snapshots import Source, VersionLabel

PASSWORD = {"RESTIC_PASSWORD": "bench", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
SETTLED_SECONDS = 2.5
SMALL_BYTES = (200, 12_000)


def write_run(folder: Path, large: list[int], small: int) -> None:
    """A run of random files; nothing in it compresses."""
    source = random.Random(4)  # noqa: S311
    folder.mkdir(parents=True)
    for index, size in enumerate(large):
        write_large(folder / f"weights-{index}.bin", size, source)
    for index in range(small):
        below = folder / f"log-{index // 200}"
        below.mkdir(exist_ok=True)
        (below / f"{index}.txt").write_bytes(source.randbytes(source.randint(*SMALL_BYTES)))


def write_large(path: Path, size: int, source: random.Random) -> None:
    """A file of random bytes."""
    with path.open("wb") as stream:
        for done in range(0, size, 1 << 20):
            stream.write(source.randbytes(min(1 << 20, size - done)))


def change(folder: Path) -> None:
    """Every twentieth small file, and five percent of the large ones' bytes, in as few of them as hold that."""
    source = random.Random(5)  # noqa: S311
    for path in sorted(folder.glob("log-*/*.txt"))[::20]:
        path.write_bytes(source.randbytes(path.stat().st_size))
    large = sorted(folder.glob("weights-*.bin"))
    left = sum(path.stat().st_size for path in large) // 20
    for path in large:
        with path.open("r+b") as stream:
            stream.write(source.randbytes(min(left, path.stat().st_size)))
        left -= min(left, path.stat().st_size)
        if left <= 0:
            return


class Contestant:
    """One way to keep a run: each call keeps it once more in the same place."""

    def __init__(self, name: str, keep: Callable[[], object]) -> None:
        self.name = name
        self.keep = keep


def sync() -> None:
    """What was written is on the disk."""
    os.sync()


def slidekeeper(place: Path, run: Path) -> Contestant:
    """The version store, in this process."""
    (place / "bucket").mkdir(parents=True)
    store = PosixSnapshots(place / "bucket", place / "cache.sqlite", immutable=False)

    def keep() -> None:
        label = VersionLabel("bench", datetime.now(UTC), "succeeded", "", RunOfVersion(run="0", name="r", folder=str(run)), "bench", "")
        with store.begin() as capture:
            capture.take([Source("artifacts", str(run))], {"provenance.json": b"{}"}, lambda path, is_folder: False)
            document = capture.commit(label)
        store.check(document)

    return Contestant("slidekeeper", keep)


def outside(name: str, place: Path, *, first: list[str], each: list[str]) -> Contestant:
    """Another program."""
    place.mkdir(parents=True)
    environment = {**os.environ, **PASSWORD, "BORG_BASE_DIR": str(place), "RESTIC_CACHE_DIR": str(place / "cache")}

    def call(command: list[str]) -> None:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=place)

    if first:
        call(first)

    def keep() -> None:
        call(each)
        sync()

    return Contestant(name, keep)


def contestants(place: Path, run: Path, names: list[str]) -> list[Contestant]:
    """Those that are wanted and installed, each in an empty place."""
    restic = ["restic", "-q", "-r", str(place / "restic" / "repository")]
    borg = str(place / "borg" / "repository")
    made: dict[str, Callable[[], Contestant]] = {
        "slidekeeper": lambda: slidekeeper(place / "slidekeeper", run),
        "cp": lambda: outside("cp -a", place / "cp", first=[], each=["sh", "-c", f"rm -rf copy; cp -a --reflink=auto {run} copy"]),
        "restic": lambda: outside("restic", place / "restic", first=[*restic, "init"], each=[*restic, "backup", str(run)]),
        "borg": lambda: outside(
            "borg", place / "borg", first=["borg", "init", "-e", "none", borg], each=["borg", "create", f"{borg}::{{now:%s%f}}", str(run)]
        ),
    }
    programs = {"slidekeeper": "sh", "cp": "cp", "restic": "restic", "borg": "borg"}
    return [made[name]() for name in names if shutil.which(programs[name])]


def timed(keep: Callable[[], object]) -> float:
    """Seconds, from a disk at rest."""
    sync()
    started = time.monotonic()
    keep()
    return time.monotonic() - started


def measure(folder: Path, large: list[int], small: int, rounds: int, names: list[str]) -> dict[str, dict[str, float]]:
    """Medians of all rounds by phase and contestant."""
    times: dict[str, dict[str, list[float]]] = {"first": {}, "unchanged": {}, "5 % changed": {}}
    for turn in range(rounds):
        run, place = folder / "run", folder / "kept"
        write_run(run, large, small)
        sync()
        time.sleep(SETTLED_SECONDS)
        field = contestants(place, run, names)
        field = field[turn % len(field) :] + field[: turn % len(field)]
        for phase, results in times.items():
            if phase == "5 % changed":
                change(run)
                time.sleep(SETTLED_SECONDS)
            for contestant in field:
                if phase != "first" and contestant.name == "cp -a":
                    continue
                results.setdefault(contestant.name, []).append(timed(contestant.keep))
        for left in (run, place):
            shutil.rmtree(left)
    return {phase: {name: statistics.median(found) for name, found in results.items()} for phase, results in times.items()}


def growth(folder: Path, versions: int) -> tuple[float, float]:
    """Seconds for a version with a new file of 1 KB: median of the first twenty, and of twenty behind ``versions``."""
    run = folder / "grown"
    write_run(run, [], 100)
    contestant = slidekeeper(folder / "growing", run)

    def one(index: int) -> float:
        (run / "new").write_text(f"{index}" * 100)
        started = time.monotonic()
        contestant.keep()
        return time.monotonic() - started

    found = [one(index) for index in range(versions + 20)]
    for left in (run, folder / "growing"):
        shutil.rmtree(left)
    return statistics.median(found[:20]), statistics.median(found[-20:])


def main() -> int:
    """Run what is asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to work; on the file system to be measured")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sets", default="AB")
    parser.add_argument("--against", default="cp,restic,borg")
    parser.add_argument("--versions", type=int, default=0, help="also measure a version behind so many others")
    arguments = parser.parse_args()
    names = ["slidekeeper", *filter(None, arguments.against.split(","))]
    sets = {"A": ([250_000_000] * 12, 0), "B": ([300_000_000] * 5, 20_000)}
    folder = arguments.folder / f"protect-{os.getpid()}"
    for name in arguments.sets:
        large, small = sets[name]
        sizes = [int(size * arguments.scale) for size in large]
        for phase, results in measure(folder, sizes, int(small * arguments.scale), arguments.rounds, names).items():
            ours = results["slidekeeper"]
            shown = "  ".join(f"{who} {seconds:.2f} s ({seconds / ours:.2f}x ours)" for who, seconds in results.items())
            print(f"{name} {phase}: {shown}", flush=True)
    if arguments.versions:
        first, last = growth(folder, arguments.versions)
        print(f"a version: {first * 1000:.0f} ms; behind {arguments.versions} others {last * 1000:.0f} ms")
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
