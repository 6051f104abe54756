"""Staging with verification against the usual ways to copy a folder: A is a few large files, B a few large and many small ones.

.venv/bin/python scripts/bench/staging.py --large 12 --megabytes 250 --small 20000 --rounds 3

All ways copy the same flat folder in one run and take turns, cold (caches dropped, needs root) and warm. What is staged is durable and has
labels, manifest and mark when the clock stops; for the others the time until their copy is on the disk is told as well. The processor's
seconds are those of the process and its children: on a machine that others load, they say more than the clock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import polars as pl
from blake3 import blake3

from slidekeeper.adapters.query.cohorts import DuckdbCohorts
from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.adapters.tier.handles import sync_file_system
from slidekeeper.adapters.tier.posix import PosixTier
from slidekeeper.model.identity import SlideNumber
from slidekeeper.model.manifest import Plan, StagedImage, manifest_of
from slidekeeper.model.staging import StagingId
from slidekeeper.steps.staging.copying import Copying
from slidekeeper.steps.staging.labels import label_files
from slidekeeper.steps.staging.plan import cohort_of, largest_first, portions
from slidekeeper.steps.staging.running import Progress, Rate

MEGABYTE = 1_000_000
SMALL_BYTES = 12_000
COPIES = 4
RCLONE = ("rclone", "copy", "--transfers", "4", "--no-traverse")


class FlatImage(StagedImage):
    """An image in the folder that all ways copy."""

    @property
    def source(self) -> str:
        """Its name alone."""
        return self.name


def write_files(folder: Path, large: int, megabytes: int, small: int) -> Sequence[StagedImage]:
    """Random files, and what a catalog would know of them."""
    folder.mkdir()
    sizes = [megabytes * MEGABYTE] * large + [SMALL_BYTES] * small
    images = []
    for index, size in enumerate(sizes):
        content = os.urandom(size)
        number = SlideNumber(str(100_000_000_000 + index))
        images.append(FlatImage(number=number, revision=1, extension=".svs", size=size, digest=f"blake3:{blake3(content).hexdigest()}"))
        (folder / images[-1].name).write_bytes(content)
    return largest_first(images)


def stage(source: Path, tier: Path, images: Sequence[StagedImage], rows: Path) -> None:
    """What the step does, from an empty folder to the mark."""
    tier.mkdir()
    owner = StagingId("0" * 12)
    plan = Plan(
        staging=owner,
        name="bench",
        tier="flash",
        site="bench",
        cohort=cohort_of(images, "", 0),
        created=datetime.now(UTC),
        images=tuple(images),
    )
    target = PosixTier("flash", tier, source).open("bench", owner)
    progress = Progress()
    copying = Copying(target, 0, progress, Rate(0), lambda image, found: print("damaged", image.number, found))
    copying.run(portions(images, target.verified()), COPIES)
    labels, files = label_files(DuckdbCohorts(DuckdbQuery(tier, 256, 60)), rows)
    target.complete(manifest_of(plan, files), labels)
    target.close()


def ways(source: Path, target: Path, images: Sequence[StagedImage], rows: Path) -> Mapping[str, Callable[[], object]]:
    """All ways that are installed here."""

    def command(*words: str | Path) -> Callable[[], object]:
        return lambda: subprocess.run(words, check=True, capture_output=True)

    parallel = f"mkdir {target} && find {source} -type f -print0 | xargs -0 -P4 -n16 cp -t {target}"
    found: dict[str, Callable[[], object]] = {
        "stage, verified, durable": lambda: stage(source, target, images, rows),
        "cp -r": command("cp", "-r", source, target),
        "xargs -P4 cp": command("sh", "-c", parallel),
    }
    if shutil.which("rclone"):
        found["rclone, unverified"] = command(*RCLONE, "--ignore-checksum", source, target)
        found["rclone, verified"] = command(*RCLONE, source, target)
    return found


def sync(folder: Path) -> None:
    """Bring all of a file system to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    sync_file_system(descriptor)
    os.close(descriptor)


def cool(folder: Path) -> None:
    """Nothing is in memory."""
    sync(folder)
    Path("/proc/sys/vm/drop_caches").write_text("3")


def warm(source: Path) -> None:
    """Everything is in memory."""
    for file in source.iterdir():
        file.read_bytes()


def processor_seconds() -> float:
    """Of this process and those it waited for."""
    return sum(os.times()[:4])


def measure(folder: Path, images: Sequence[StagedImage], rounds: int, cold: bool) -> None:
    """Let all ways take turns, and print medians and ratios."""
    source, target, rows = folder / "source", folder / "target", folder / "rows.parquet"
    pl.DataFrame({"number": [image.number for image in images]}).write_parquet(rows)
    clock, durable, busy = defaultdict(list), defaultdict(list), defaultdict(list)
    for turn in range(rounds):
        for way, copy in sorted(ways(source, target, images, rows).items(), reverse=bool(turn % 2)):
            cool(folder)
            if not cold:
                warm(source)
            started, used = time.perf_counter(), processor_seconds()
            copy()
            clock[way].append(time.perf_counter() - started)
            sync(folder)
            durable[way].append(time.perf_counter() - started)
            busy[way].append(processor_seconds() - used)
            shutil.rmtree(target)
    ours = next(iter(ways(source, target, images, rows)))
    print(f"  {'cold' if cold else 'warm'}, medians of {rounds} rounds: seconds, until durable, of processors; staging is faster by")
    for way, seconds in clock.items():
        ratios = f"{median(seconds) / median(clock[ours]):.2f}x, durable {median(durable[way]) / median(durable[ours]):.2f}x"
        print(f"    {way:<26} {median(seconds):6.2f} {median(durable[way]):6.2f} {median(busy[way]):6.2f}   {ratios}")


def main() -> None:
    """Measure both data sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=int, default=12, help="Large files of A; B has five.")
    parser.add_argument("--megabytes", type=int, default=250, help="Size of each of A's; those of B have 300 in proportion.")
    parser.add_argument("--small", type=int, default=20_000, help="Small files of B.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("A", "B"))
    parser.add_argument("--folder", type=Path, help="On the disk to be measured; a temporary folder by default.")
    options = parser.parse_args()
    sets = {"A": (options.large, options.megabytes, 0), "B": (5, options.megabytes * 300 // 250, options.small)}
    for name, (large, megabytes, small) in sets.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-", dir=options.folder) as place:
                print(f"{name}: {large} files of {megabytes} MB, {small} of {SMALL_BYTES // 1000} kB")
                images = write_files(Path(place) / "source", large, megabytes, small)
                for cold in (True, False):
                    if not cold or os.geteuid() == 0:
                        measure(Path(place), images, options.rounds, cold)
                sys.stdout.flush()


if __name__ == "__main__":
    main()
