"""One slide of a gigabyte: anonymize, search, digest and store, against ``cp --reflink=never`` of the same file on the same disk.

.venv/bin/python scripts/bench/gigabyte.py --megabytes 1000 --rounds 5

What is anonymized is on the disk when the clock stops; so is the copy after its fsync, by which the ratio is taken. Rounds alternate, so
that a noisy minute strikes both. The ratio to the copy that still lies in memory is told as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from slidekeeper.adapters.bucket.posix import PosixBucket  # noqa: E402
from slidekeeper.adapters.drop.posix import PosixDrop  # noqa: E402
from slidekeeper.adapters.readers.independent import IndependentReader  # noqa: E402
from slidekeeper.adapters.search.hyperscan_search import HyperscanFactory  # noqa: E402
from slidekeeper.formats.registry import SupportedFormats  # noqa: E402
from slidekeeper.model.identity import new_slide_number  # noqa: E402
from slidekeeper.settings.sections import DropSettings  # noqa: E402
from slidekeeper.steps.anonymize.job import anonymize_slide  # noqa: E402
from slidekeeper.steps.anonymize.request import Tools, request_of  # noqa: E402
from slidekeeper.steps.intake.assembly import packs_of  # noqa: E402
from writers import write_aperio  # noqa: E402


def seconds_of(action: Callable[[], None]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def measure(folder: Path, megabytes: int, rounds: int) -> None:
    """Write the slide, alternate both ways, print the figures."""
    drop, bucket = PosixDrop("bench", folder / "drop"), PosixBucket(folder / "bucket")
    drop.root.mkdir()
    bucket.root.mkdir()
    slide = drop.root / "S26-1.svs"
    write_aperio(slide, seed=1, barcode="S26-1", size=(40960, 30720), levels=4, target_bytes=megabytes * 1_000_000)
    [files] = packs_of(list(drop.walk(())), "bench", DropSettings(path=drop.root))
    tools = Tools(bucket, SupportedFormats(), HyperscanFactory(), IndependentReader(), 512)

    def anonymize() -> None:
        anonymize_slide(request_of(files, drop, new_slide_number(), tools))

    def copy() -> None:
        subprocess.run(["cp", "--reflink=never", slide, folder / "copy.svs"], check=True)

    def sync() -> None:
        with (folder / "copy.svs").open("rb") as written:
            os.fsync(written.fileno())

    copies, durable, anonymized = [], [], []
    for _ in range(rounds):
        copies.append(seconds_of(copy))
        durable.append(copies[-1] + seconds_of(sync))
        (folder / "copy.svs").unlink()
        anonymized.append(seconds_of(anonymize))
        shutil.rmtree(bucket.root / ".aside")
    print(f"slide of {slide.stat().st_size / 1e6:.0f} MB, {rounds} rounds each")
    ways = {"cp --reflink=never": copies, "cp --reflink=never, fsync": durable, "anonymize, search, digest, store, fsync": anonymized}
    for way, seconds in ways.items():
        print(f"  {way:<40} median {median(seconds):.2f} s   {sorted(round(each, 2) for each in seconds)}")
    ratios = [median(anonymized) / median(each) for each in (durable, copies)]
    print(f"  ratio to the durable copy {ratios[0]:.2f}, to the copy in memory {ratios[1]:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="On the disk to be measured; a temporary folder by default.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-", dir=options.folder) as place:
        measure(Path(place), options.megabytes, options.rounds)
