"""From the close of a pack's last file to ``pack.settled``, beyond the quiet time: with events, and by the scan alone.

.venv/bin/python scripts/bench/settle.py --packs 20
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from system.site_under_test import Site  # noqa: E402
from writers import write_pack  # noqa: E402

SETTLE_SECONDS = 1.0
SCAN_SECONDS = 2.0


def delays(watch: str, packs: int) -> list[float]:
    """Seconds from close to ``pack.settled``, less the quiet time, one pack after the other."""
    with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-") as folder:
        scan_seconds = SCAN_SECONDS if watch == "poll" else 60.0
        settings = {"watch": watch, "settle_seconds": SETTLE_SECONDS, "scan_seconds": scan_seconds}
        site = Site.create(Path(folder), **{f"drop__scanner__{key}": value for key, value in settings.items()})
        site.start()
        try:
            return [one_delay(site, seed) for seed in range(packs)]
        finally:
            site.stop()


def one_delay(site: Site, seed: int) -> float:
    """Drop one pack and wait until it has come through."""
    write_pack(site.drop, seed=seed)
    closed = time.time()
    site.wait_at_rest(seed + 1)
    [settled] = site.json("events", "--type", "pack.settled", "--limit", "1")
    return time_of(settled["time"]) - closed - SETTLE_SECONDS


def time_of(text: str) -> float:
    """Seconds since the epoch of an event's time."""
    return datetime.fromisoformat(text).timestamp()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=int, default=20)
    options = parser.parse_args()
    print(f"close of the last file to pack.settled, beyond the quiet time of {SETTLE_SECONDS} s; {options.packs} packs each")
    for watch, what in (("inotify", "events flow"), ("poll", f"scan alone, every {SCAN_SECONDS} s")):
        found = sorted(delays(watch, options.packs))
        print(f"  {what:<28} median {median(found):.3f} s   longest {found[-1]:.3f} s")
