"""Killed at any durability point, restarted, even killed again while recovering: every pack once, nothing half, nothing leaked."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from system.site_under_test import Site
from writers import write_pack
from writers.planted import Planted

FAILPOINTS = Path(__file__).parent / "failpoints"
PACKS = 3


def drop_packs(site: Site, count: int = PACKS, first: int = 0) -> Sequence[Planted]:
    """Drop ``count`` different packs."""
    return [write_pack(site.drop, seed=seed) for seed in range(first, first + count)]


def failpoints(counter: Path, kill_at: int) -> dict[str, str]:
    """The environment that loads the failpoints into every process of the daemon."""
    counter.write_text("0")
    return {"PYTHONPATH": str(FAILPOINTS), "FAILPOINT_COUNTER": str(counter), "FAILPOINT_KILL_AT": str(kill_at)}


def check_everything(site: Site, planted: Sequence[Planted]) -> None:
    """The promises that hold after any crash."""
    numbers = site.check_bucket()
    assert len(numbers) == len(planted), "every pack is in the bucket"
    assert set(numbers.values()) == {1}, "every pack is there exactly once"
    assert site.packs() == {"done": len(planted)}
    assert {slide["number"] for slide in site.json("slides", "list")} == set(numbers)
    site.check_nothing_leaked({identifier for pack in planted for identifier in pack.identifiers})


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> int:
    """The number of durability points of one undisturbed life: start, packs, stop."""
    site = Site.create(tmp_path_factory.mktemp("counted"))
    counter = site.folder / "counter"
    drop_packs(site)
    site.start(**failpoints(counter, 0))
    site.wait_at_rest(PACKS)
    site.stop()
    return int(counter.read_text())


def live_through_a_kill(folder: Path, kill_at: int, kill_recovery_at: int) -> None:
    """One life: killed at a point, its recovery killed at another, then left in peace."""
    site = Site.create(folder)
    counter = folder / "counter"
    planted = drop_packs(site)
    try:
        site.start(wait=False, **failpoints(counter, kill_at))
        died = site.wait_for_death(20) if kill_at else False
        if not died:
            site.wait_at_rest(PACKS)
            site.kill()
        site.start(wait=False, **failpoints(counter, kill_recovery_at))
        if not site.wait_for_death(2):
            site.kill()
        site.start()
        site.wait_at_rest(PACKS)
        check_everything(site, planted)
    finally:
        site.kill()


@pytest.mark.parametrize("share", [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95])
def test_a_kill_at_a_durability_point_loses_nothing_and_does_nothing_twice(tmp_path: Path, points: int, share: float) -> None:
    assert points > 60
    live_through_a_kill(tmp_path, kill_at=round(points * share), kill_recovery_at=9)


@pytest.mark.slow
def test_a_kill_at_every_durability_point_loses_nothing_and_does_nothing_twice(tmp_path: Path, points: int) -> None:
    for kill_at in range(1, points + 1):
        life = tmp_path / str(kill_at)
        life.mkdir()
        live_through_a_kill(life, kill_at, kill_recovery_at=1 + kill_at % 23)
        shutil.rmtree(life)


def kill_at_random_instants(site: Site, kills: int, random: Random) -> Sequence[Planted]:
    """Drop packs while the daemon is killed again and again."""
    planted: list[Planted] = []
    for life in range(kills):
        site.start(wait=False)
        planted += drop_packs(site, count=2, first=10 + 2 * life)
        time.sleep(random.uniform(0.2, 2.5))
        site.kill()
    return planted


def test_kills_at_random_instants_under_load_lose_nothing(tmp_path: Path) -> None:
    site = Site.create(tmp_path)
    try:
        planted = kill_at_random_instants(site, 6, Random(1))
        site.start()
        site.wait_at_rest(len(planted))
        check_everything(site, planted)
    finally:
        site.kill()


@pytest.mark.slow
def test_a_hundred_kills_at_random_instants_lose_nothing(tmp_path: Path) -> None:
    site = Site.create(tmp_path)
    try:
        planted = kill_at_random_instants(site, 100, Random(2))
        site.start()
        site.wait_at_rest(len(planted), 120)
        check_everything(site, planted)
    finally:
        site.kill()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(("call", "when"), [("fsync", 1), ("fdatasync", 4), ("rename", 2)])
def test_a_kill_inside_the_kernels_own_call_loses_nothing(tmp_path: Path, call: str, when: int) -> None:
    """The system call itself is struck, also those that databases make in C; counted by strace for each thread."""
    site = Site.create(tmp_path)
    planted = drop_packs(site)
    try:
        site.start(wait=False)
        assert site.daemon is not None
        strace = ["strace", "-f", "-q", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}"]
        with subprocess.Popen([*strace, "-p", str(site.daemon.pid)]) as tracer:
            time.sleep(4)
            tracer.send_signal(signal.SIGTERM)
        site.kill()
        site.start()
        site.wait_at_rest(PACKS)
        check_everything(site, planted)
    finally:
        site.kill()
