"""Many packs at once: all come through, and the event loop stays free."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from system.site_under_test import Site
from writers import write_pack

pytestmark = pytest.mark.alone

LAG_SECONDS = 0.05
PRIORITY = -15


def put_first(pid: int) -> None:
    """Let the daemon go before the machine's other work: a neighbour that takes the processor from the thread that holds the
    interpreter's lock would look like a block of ours."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, PRIORITY)
        Path(f"/proc/{pid}/autogroup").write_text(str(PRIORITY))  # where each session has its own share, sched(7)


def flow(folder: Path, packs: int) -> None:
    """Drop ``packs`` packs at once and wait until all are catalogued."""
    site = Site.create(folder)
    for seed in range(packs):
        write_pack(site.drop, seed=seed)
    site.start(wait=False)
    put_first(site.process.pid)
    site.wait_until(lambda: site.status() is not None, 20, "the daemon answers")
    try:
        site.wait_at_rest(packs, 40 + packs / 10)
        assert site.packs() == {"done": packs}
        assert (site.status() or {})["loop_lag_seconds"]["worst"] < LAG_SECONDS
    finally:
        site.stop()
    assert site.check_bucket().total() == packs


def test_two_hundred_packs_at_once_never_block_the_event_loop(tmp_path: Path) -> None:
    flow(tmp_path, 200)


@pytest.mark.slow
def test_two_thousand_packs_at_once_never_block_the_event_loop(tmp_path: Path) -> None:
    flow(tmp_path, 2000)
