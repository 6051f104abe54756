"""Full, read-only and vanished places: work pauses with an alarm, goes on by itself, and nothing is quarantined for it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from system.site_under_test import Site
from writers import write_aperio, write_pack

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts file systems")

MEGABYTE = 1_000_000


@contextmanager
def small_disk(where: Path, megabytes: int) -> Iterator[None]:
    """A file system of its own, in memory, mounted at ``where``."""
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "slidekeeper-test", str(where)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(where)], check=True)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A fresh site, its daemon not yet started."""
    site = Site.create(tmp_path)
    yield site
    site.kill()


def suspended(site: Site) -> dict[str, str]:
    """Suspended places with reasons."""
    status = site.status()
    return dict(status["suspended"]) if status else {}


def fill(folder: Path) -> Path:
    """Leave no byte free in a folder's file system."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(64 * 1024))
        except OSError:
            return filler


def test_a_full_bucket_pauses_work_and_resumes_by_itself(site: Site) -> None:
    with small_disk(site.bucket, 16):
        filler = fill(site.bucket)
        site.start()
        write_pack(site.drop, seed=1)
        site.wait_until(lambda: "bucket" in suspended(site), 20, "the bucket is suspended")
        assert site.packs().get("quarantined", 0) == 0
        filler.unlink()
        site.wait_at_rest(1)
        assert site.packs() == {"done": 1}
        types = [event["type"] for event in site.json("events", "--limit", "100")]
        assert types.index("slidekeeper.place.suspended") < types.index("slidekeeper.place.resumed")


def test_a_read_only_bucket_pauses_work_and_resumes_by_itself(site: Site) -> None:
    with small_disk(site.bucket, 64):
        subprocess.run(["mount", "-o", "remount,ro", str(site.bucket)], check=True)
        site.start()
        write_pack(site.drop, seed=2)
        site.wait_until(lambda: "bucket" in suspended(site), 20, "the bucket is suspended")
        subprocess.run(["mount", "-o", "remount,rw", str(site.bucket)], check=True)
        site.wait_at_rest(1)
        assert site.packs() == {"done": 1}


def test_a_full_state_disk_delays_but_loses_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with small_disk(state, 24):
        site = Site.create(tmp_path)
        try:
            site.start()
            filler = fill(state)
            for seed in range(3, 6):
                write_pack(site.drop, seed=seed)
            time.sleep(3)
            assert site.status() is not None, "the daemon still answers"
            assert site.packs().get("quarantined", 0) == 0
            filler.unlink()
            site.wait_at_rest(3)
            assert site.packs() == {"done": 3}
        finally:
            site.kill()


def test_an_unmounted_drop_folder_is_unavailable_not_empty(tmp_path: Path) -> None:
    site = Site.create(tmp_path, drop__scanner__mount=True)
    try:
        with small_disk(site.drop, 32):
            site.start()
            write_pack(site.drop, seed=6)
            site.wait_at_rest(1)
        site.wait_until(lambda: drop_of(site)["available"] != "yes", 20, "the alarm is raised")
        time.sleep(2)
        assert site.packs() == {"done": 1}, "an unmount deletes nothing"
        with small_disk(site.drop, 32):
            write_pack(site.drop, seed=7)
            site.wait_at_rest(2)
    finally:
        site.kill()


def drop_of(site: Site) -> dict[str, str]:
    """The status row of the only drop folder."""
    status = site.status()
    assert status is not None
    return dict(status["drops"][0])


def test_a_second_daemon_on_the_same_state_is_refused(site: Site) -> None:
    site.start()
    second = site.run("run", check=False)
    assert second.returncode == 1
    assert "already-running" in second.stderr


def test_originals_are_deleted_only_behind_a_stored_copy(tmp_path: Path) -> None:
    site = Site.create(tmp_path, drop__scanner__after_ingest="delete")
    site.start()
    try:
        good = write_pack(site.drop, seed=8)
        bad = site.drop / "bad.svs"
        bad.write_text("not a slide, but still somebody's file")
        site.wait_at_rest(2)
        assert site.packs() == {"done": 1, "quarantined": 1}
        assert not good.path.exists()
        assert bad.exists()
        site.check_bucket()
    finally:
        site.kill()


def test_a_worker_that_is_killed_costs_nobody_but_time(site: Site) -> None:
    site.start()
    for seeds in (range(20, 26), range(26, 32)):
        for seed in seeds:
            write_aperio(site.drop / f"victim-{seed}.svs", seed=seed, barcode=f"victim-{seed}")
        site.wait_until(lambda: site.packs().get("settled", 0) > 0, 30, "work is under way", every=0.005)
        os.kill(workers_of(site.process.pid)[0], signal.SIGKILL)
    site.wait_at_rest(12)
    assert sum(site.packs().get(state, 0) for state in ("done", "quarantined")) == 12
    assert site.packs()["done"] >= 10


def workers_of(daemon: int) -> list[int]:
    """Worker processes: the grandchildren of the daemon (children of its fork server)."""

    def children(pid: int) -> list[int]:
        listings = Path(f"/proc/{pid}/task").glob("*/children")
        return [int(child) for listing in listings for child in listing.read_text().split()]

    return [worker for child in children(daemon) for worker in children(child)]


def test_a_daemon_that_starts_without_its_bucket_waits_for_it(site: Site) -> None:
    site.bucket.rename(site.folder / "unmounted")
    site.start()
    write_pack(site.drop, seed=60)
    site.wait_until(lambda: "bucket" in suspended(site), 20, "the bucket is suspended")
    (site.folder / "unmounted").rename(site.bucket)
    site.wait_at_rest(1)
    assert site.packs() == {"done": 1}
