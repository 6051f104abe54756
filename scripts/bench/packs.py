"""Packs a second through the whole image workflow, and the daemon's memory, with an empty or a prefilled catalog.

.venv/bin/python scripts/bench/packs.py --packs 2000 --prefilled 0
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from itertools import count
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from prefill import prefill_site  # noqa: E402

from system.site_under_test import Site  # noqa: E402
from writers import write_pack  # noqa: E402

PIXELS = (2176, 1856)
"""Width and height at full resolution that make a pack of one megabyte."""


def resident_megabytes(pid: int) -> float:
    """Resident memory of one process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1000
    return 0.0


def proportional_megabytes(pid: int) -> float:
    """Memory of one process, shared pages divided among those who share them (PSS)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``."""
    try:
        children = [int(child) for listing in Path(f"/proc/{pid}/task").glob("*/children") for child in listing.read_text().split()]
    except OSError:
        return []
    return [process for child in children for process in (child, *descendants(child))]


class MemoryWatch:
    """Highest memory of the daemon and of all its processes together."""

    def __init__(self, pid: int) -> None:
        self.daemon = self.together = 0.0
        self._pid = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        # Shares are counted seldom: the kernel walks all pages for them, on cores that are being measured.
        for turn in count():
            if self._stop.wait(0.5):
                return
            self.daemon = max(self.daemon, resident_megabytes(self._pid))
            if turn % 20 == 0:
                self.together = max(self.together, sum(proportional_megabytes(pid) for pid in [self._pid, *descendants(self._pid)]))

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()
        self._thread.join()


def measure(packs: int, prefilled: int) -> None:
    """One run; prints the figures."""
    with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-") as folder:
        # Settings as they are by default, but for the quiet time: it would only be waited out.
        site = Site.create(Path(folder), catalog__publish_seconds=60.0, drop__scanner__scan_seconds=60.0)
        site.start()
        site.stop()
        if prefilled:
            prefill_site(site.state, prefilled)
        made = site.folder / "made"
        made.mkdir()
        for seed in range(packs):
            write_pack(made, seed=seed, size=PIXELS)
        size = sum(path.stat().st_size for path in made.iterdir())
        site.start()
        memory = MemoryWatch(site.process.pid)
        started = time.monotonic()
        for path in made.iterdir():
            path.rename(site.drop / path.name)
        site.wait_until(lambda: site.packs().get("done", 0) >= packs + prefilled, 60 + packs / 5, f"{packs} packs are done", every=0.5)
        seconds = time.monotonic() - started
        lag = (site.status() or {})["loop_lag_seconds"]
        memory.stop()
        site.stop()
    print(f"packs {packs} ({size / 1e6 / packs:.2f} MB each), catalog prefilled with {prefilled}")
    print(f"  {packs / seconds:.1f} packs/s   {seconds:.1f} s   {size / 1e6 / seconds:.0f} MB/s")
    print(f"  memory of the daemon {memory.daemon:.0f} MB resident, with all workers {memory.together:.0f} MB proportional")
    print(f"  worst lag of the event loop {lag['worst'] * 1000:.0f} ms; longest wait for a processor {lag['worst_starved'] * 1000:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=int, default=2000)
    parser.add_argument("--prefilled", type=int, default=0)
    options = parser.parse_args()
    measure(options.packs, options.prefilled)
