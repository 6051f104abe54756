"""A stop ends in time, whatever is under way or full, and the next start does what was left undone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from slidekeeper.bootstrap.stopping import CLOSING_SECONDS
from system.site_under_test import Site
from system.test_faults import fill, small_disk, workers_of
from writers import write_aperio, write_pack

STOP_SECONDS = 0.2
PACKS = 10
LONG_WORK_BYTES = 20_000_000
IN_TIME = STOP_SECONDS + CLOSING_SECONDS + 5.0
"""With what a busy machine adds: a stop that hangs takes far longer."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site whose daemon gives work under way next to no time to finish."""
    site = Site.create(tmp_path, engine__stop_seconds=STOP_SECONDS)
    yield site
    site.kill()


def stop_in_time(site: Site) -> None:
    """Stop with exit code 0, or fail after the longest time that a stop may take."""
    assert site.stop(IN_TIME) == os.EX_OK


def check_all_done(site: Site, packs: int) -> None:
    """After the next start every pack comes through, once."""
    site.start()
    site.wait_at_rest(packs)
    assert site.packs() == {"done": packs}
    assert site.check_bucket().total() == packs
    assert site.stop() == os.EX_OK


def test_a_stop_under_load_is_in_time_and_what_it_abandoned_is_done_after_the_next_start(site: Site) -> None:
    for seed in range(PACKS):
        write_aperio(site.drop / f"S26-{seed}.svs", seed=seed, barcode=f"S26-{seed}", target_bytes=LONG_WORK_BYTES)
    site.start()
    site.wait_until(lambda: site.packs().get("settled", 0) > 0, 30, "work is under way")
    for worker in workers_of(site.process.pid):
        os.kill(worker, signal.SIGSTOP)  # work that takes longer than any stop waits, however fast the machine
    stop_in_time(site)
    assert "work abandoned" in site.log.read_text()
    check_all_done(site, PACKS)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")
def test_a_stop_with_a_full_state_disk_is_in_time(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with small_disk(state, 24):
        site = Site.create(tmp_path, engine__stop_seconds=STOP_SECONDS)
        try:
            site.start()
            filler = fill(state)
            for seed in range(3):
                write_pack(site.drop, seed=seed)
            site.wait_until(lambda: bool((site.status() or {}).get("journal_trouble")), 20, "the journal waits")
            stop_in_time(site)
            filler.unlink()
            check_all_done(site, 3)
        finally:
            site.kill()
