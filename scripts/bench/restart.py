"""From the start of the daemon to its readiness, after a SIGKILL, with many packs in the journal.

.venv/bin/python scripts/bench/restart.py --packs 100000

Against the start of the same daemon with an empty journal, in the same run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from prefill import prefill_site  # noqa: E402

from system.site_under_test import Site  # noqa: E402
from writers import write_pack  # noqa: E402

UNFINISHED = 20


def seconds_to_ready(site: Site) -> float:
    """Wall time from exec to the journaled start that the API shows."""
    started = time.perf_counter()
    site.start()
    return time.perf_counter() - started


def measure(packs: int) -> None:
    """Start, fill, start, kill while packs are under way, start again."""
    with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-") as folder:
        site = Site.create(Path(folder))
        empty = seconds_to_ready(site)
        site.stop()
        prefill_site(site.state, packs)
        for seed in range(UNFINISHED):
            write_pack(site.drop, seed=seed)
        site.start()
        site.wait_until(lambda: site.packs().get("done", 0) > packs, 60, "the first pack came through")
        under_way = sum(count for state, count in site.packs().items() if state != "done")
        site.kill()
        full = seconds_to_ready(site)
        site.wait_until(lambda: site.packs().get("done", 0) == packs + UNFINISHED, 60, "all packs came through")
        site.stop()
    print(f"start to ready, empty journal                       {empty:.2f} s")
    print(f"start to ready after SIGKILL, {packs:,} packs, {under_way} of them under way   {full:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packs", type=int, default=100_000)
    measure(parser.parse_args().packs)
