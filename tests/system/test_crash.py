"""Killed at any durability point, restarted, even killed again while recovering: every pack once, nothing half, nothing leaked."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

import pytest

from system.site_under_test import Site
from writers import write_aperio, write_pack
from writers.planted import Planted

FAILPOINTS = Path(__file__).parent / "failpoints"
LARGE_BYTES = 12_000_000
"""More than the eight megabytes from which on the kernel copies."""


@dataclass
class Session:
    """What a scanner drops: sound packs, one of them large, one twice; one that is no slide; and the notice that all is there."""

    site: Site
    originals: dict[Path, bytes] = field(default_factory=dict)
    """Every slide image that was dropped, with a piece of it that its anonymized copy keeps."""
    identifiers: set[str] = field(default_factory=set)
    slides: int = 0
    held: int = 0
    duplicates: int = 0
    batches: int = 0

    @property
    def folder(self) -> Path:
        """The session's folder."""
        return self.site.drop / "monday"

    def drop_all(self) -> None:
        """The whole session."""
        self.folder.mkdir()
        again = self.site.drop / "tuesday"
        again.mkdir()
        self.drop_sound(1)
        large = write_aperio(self.folder / "S26-77;A.svs", seed=77, barcode="S26-77;A", size=(2816, 2560), target_bytes=LARGE_BYTES)
        self._count(large)
        assert large.path.stat().st_size > LARGE_BYTES * 2 // 3
        self._count(write_pack(again, seed=1))
        self.slides -= 1
        self.duplicates += 1
        (self.folder / "MIRABELLA-ZZYZX.svs").write_text("not a slide, but still somebody's file")
        self.identifiers.add("MIRABELLA-ZZYZX")
        self.held += 1
        (self.folder / "READY").touch()
        self.batches += 1

    def drop_sound(self, seed: int) -> None:
        """One more pack, in the same folder."""
        self._count(write_pack(self.folder, seed=seed))

    def _count(self, planted: Planted) -> None:
        content = planted.path.read_bytes()
        middle = len(content) // 2
        self.originals[planted.path] = content[middle : middle + 2048]
        self.identifiers |= set(planted.identifiers)
        self.slides += 1

    @property
    def packs(self) -> dict[str, int]:
        """How all packs must end."""
        ends = {"done": self.slides, "duplicate": self.duplicates, "quarantined": self.held}
        return {state: count for state, count in ends.items() if count}

    def wait_at_rest(self) -> None:
        """Wait until all packs have come to rest."""
        self.site.wait_at_rest(sum(self.packs.values()))

    def check_nothing_is_lost(self) -> None:
        """Of every slide there is the original, or a copy whose bytes are those that were proven; at any instant."""
        copies = [path.read_bytes() for path in (self.site.bucket / "slides").rglob("*.svs")]
        lost = [path for path, piece in self.originals.items() if not path.exists() and not any(piece in copy for copy in copies)]
        assert not lost

    def check_everything(self) -> None:
        """The promises that hold after any crash."""
        site = self.site
        numbers = site.check_bucket()
        assert set(numbers.values()) == {1}, "every pack is in the bucket exactly once"
        assert len(numbers) == self.slides, "every pack is in the bucket"
        assert site.packs() == self.packs
        assert {slide["number"] for slide in site.json("slides", "list")} == set(numbers)
        assert len(site.json("quarantine", "list")) == self.held
        site.wait_until(lambda: self.completed() >= self.batches, 10, "the batch is complete")
        self.check_nothing_is_lost()
        assert site.stop() == os.EX_OK  # a publication under way is no stray
        site.check_no_strays()
        site.check_nothing_leaked(self.identifiers)

    def completed(self) -> int:
        """Batches that the journal says are complete."""
        return len(self.site.events("batch.completed"))


@contextmanager
def session_at(folder: Path, after_ingest: Literal["keep", "delete"] = "keep") -> Iterator[Session]:
    """A site into which a session was dropped; no daemon runs before or after."""
    session = Session(Site.create(folder, drop__scanner__after_ingest=after_ingest))
    session.drop_all()
    try:
        yield session
    finally:
        session.site.kill()


def failpoints(counter: Path, kill_at: int) -> dict[str, str]:
    """The environment that loads the failpoints into every process of the daemon."""
    counter.write_text("0")
    searched = os.pathsep.join(filter(None, [str(FAILPOINTS), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": searched, "FAILPOINT_COUNTER": str(counter), "FAILPOINT_KILL_AT": str(kill_at)}


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> int:
    """The number of durability points from the start until a session is at rest."""
    with session_at(tmp_path_factory.mktemp("counted")) as session:
        counter = session.site.folder / "counter"
        session.site.start(**failpoints(counter, 0))
        session.wait_at_rest()
        return int(counter.read_text())


def die_at(session: Session, point: int) -> None:
    """A life that ends at a durability point; commits share fewer points when they crowd, so packs keep coming until it is reached."""
    site = session.site
    site.start(wait=False, **failpoints(site.folder / "counter", point))
    deadline = time.monotonic() + 60
    while not site.wait_for_death(0.3):
        assert time.monotonic() < deadline, "the daemon did not die at its failpoint"
        if site.packs() == session.packs:
            session.drop_sound(1000 + len(session.originals))
    session.check_nothing_is_lost()


def live_through_two_kills(folder: Path, kill_at: int, kill_recovery_at: int, after_ingest: Literal["keep", "delete"]) -> None:
    """One life: killed at a point, its recovery killed at another, then left in peace."""
    with session_at(folder, after_ingest) as session:
        die_at(session, kill_at)
        die_at(session, kill_recovery_at)
        session.site.start()
        session.wait_at_rest()
        session.check_everything()


@pytest.mark.parametrize(
    ("share", "kill_recovery_at", "after_ingest"),
    [
        (0.05, 3, "keep"),
        (0.2, 30, "keep"),
        (0.35, 9, "delete"),
        (0.5, 2, "keep"),
        (0.65, 17, "delete"),
        (0.8, 5, "keep"),
        (0.95, 12, "delete"),
    ],
)
def test_a_kill_at_a_durability_point_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, points: int, share: float, kill_recovery_at: int, after_ingest: Literal["keep", "delete"]
) -> None:
    assert points > 60
    live_through_two_kills(tmp_path, round(points * share), kill_recovery_at, after_ingest)


@pytest.mark.slow
@pytest.mark.parametrize("after_ingest", ["keep", "delete"])
def test_a_kill_at_every_durability_point_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, points: int, after_ingest: Literal["keep", "delete"]
) -> None:
    for kill_at in range(1, points + 1):
        life = tmp_path / str(kill_at)
        life.mkdir()
        live_through_two_kills(life, kill_at, 1 + kill_at % 23, after_ingest)
        shutil.rmtree(life)


def kill_at_random_instants(session: Session, kills: int, random: Random) -> None:
    """Packs keep coming while the daemon is killed again and again."""
    for life in range(kills):
        session.site.start(wait=False)
        session.drop_sound(10 + life)
        time.sleep(random.uniform(0.2, 2.5))
        session.site.kill()
        session.check_nothing_is_lost()


@pytest.mark.parametrize(("kills", "seed"), [(6, 1), pytest.param(100, 2, marks=pytest.mark.slow)])
def test_kills_at_random_instants_under_load_lose_nothing(tmp_path: Path, kills: int, seed: int) -> None:
    with session_at(tmp_path, "delete") as session:
        kill_at_random_instants(session, kills, Random(seed))
        session.site.start()
        session.wait_at_rest()
        session.check_everything()


@contextmanager
def struck_by_strace(site: Site, call: str, when: int) -> Iterator[None]:
    """Whichever of the daemon's threads makes a system call for the ``when``-th time is killed in it, and all of the daemon with it."""
    strace = ["strace", "-f", "-q", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}"]
    with subprocess.Popen([*strace, "-p", str(site.process.pid)]) as tracer:
        try:
            yield
        finally:
            tracer.send_signal(signal.SIGTERM)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(("call", "when"), [("fsync", 1), ("fdatasync", 4), ("rename", 2)])
def test_a_kill_inside_the_kernels_own_call_loses_nothing(tmp_path: Path, call: str, when: int) -> None:
    """The system call itself is struck, also those that databases make in C; counted by strace for each thread."""
    with session_at(tmp_path) as session:
        session.site.start(wait=False)
        with struck_by_strace(session.site, call, when):
            assert session.site.wait_for_death(30), "the daemon died in the call"
        session.check_nothing_is_lost()
        session.site.start()
        session.wait_at_rest()
        session.check_everything()
