"""Killed or without power at any instant: earlier versions are whole, a restart leaves no debris, and the next try goes through."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest

from adapters.snapshots.capturing import contents, has, importing_tests, keys, make_store, mounted, on_disk, protect, run_program, strays
from slidekeeper.adapters.snapshots import capture
from slidekeeper.adapters.snapshots.kernel import IMMUTABLE, flags_of
from slidekeeper.adapters.snapshots.posix import PosixSnapshots
from slidekeeper.adapters.snapshots.sealing import can_seal, unseal
from slidekeeper.errors import Permanent

LIFE = """
import sys
from pathlib import Path
from adapters.snapshots.capturing import make_store, protect
store = make_store(Path(sys.argv[1]))
store.sweep()
protect(store, Path(sys.argv[2]))
"""
CUTS = 6


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A small run."""
    folder = tmp_path / "run"
    (folder / "logs").mkdir(parents=True)
    (folder / "model.bin").write_bytes(os.urandom(300_000))
    for index in range(20):
        (folder / "logs" / f"{index}.txt").write_text(str(index))
    return folder


def live(folder: Path, run: Path, *wrapper: str) -> int:
    """A process that sweeps, then protects the run; its exit code, negative for a signal."""
    command = [*wrapper, sys.executable, "-c", LIFE, folder, run]
    return subprocess.run(command, env=importing_tests(), capture_output=True, check=False, timeout=60).returncode


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(
    ("call", "when"),
    [
        ("renameat2", 1),
        ("renameat2", 3),
        ("renameat2", 5),
        ("renameat2", 6),
        ("syncfs", 1),
        ("syncfs", 2),
        ("fsync", 1),
        ("fsync", 2),
        *(pytest.param("renameat2", when, marks=pytest.mark.slow) for when in (2, 4)),
        *(pytest.param("rename", when, marks=pytest.mark.slow) for when in range(1, 8)),
        *(pytest.param(call, when, marks=pytest.mark.slow) for call in ("fchmod", "unlink", "mkdir") for when in range(1, 12)),
    ],
)
def test_a_kill_in_any_call_leaves_earlier_versions_and_no_debris(tmp_path: Path, run: Path, call: str, when: int) -> None:
    store = make_store(tmp_path)
    first = protect(store, run)
    before = contents(store, first)
    (run / "model.bin").write_bytes(os.urandom(400_000))
    (run / "logs" / "0.txt").write_text("other")
    strace = ["strace", "-f", "-q", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}"]
    killed = live(tmp_path, run, *strace)
    assert contents(store, first) == before
    for number in store.numbers("gleason"):
        store.check(store.document("gleason", number))
    assert live(tmp_path, run) == 0
    newest = store.document("gleason", store.numbers("gleason")[-1])
    assert contents(store, newest) == on_disk(run)
    assert (strays(store), [key for key in keys(store) if store.verify(key)]) == ([], [])
    folders = [path for kind in ("blobs", "packs", "trees", "versions") for path in (store.root / kind).rglob("*") if path.is_dir()]
    assert {oct(path.stat().st_mode & 0o777) for path in folders} == {"0o555"}
    assert len(store.numbers("gleason")) == (3 if killed == 0 or (call == "fsync" and when == 2) else 2)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """An ext4 file system in a file on btrfs, where a copy of that file takes an instant."""
    if not has("mkfs.btrfs", "mkfs.ext4", "mount"):
        pytest.skip("needs root, mkfs.btrfs and mkfs.ext4")
    below = tmp_path / "btrfs.image"
    with below.open("wb") as stream:
        stream.truncate(600_000_000)
    run_program("mkfs.btrfs", "-q", str(below))
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(below, tmp_path / "below"))
        except subprocess.CalledProcessError:
            pytest.skip("loop devices cannot be mounted here")
        image = tmp_path / "below" / "disk.image"
        with image.open("wb") as stream:
            stream.truncate(150_000_000)
        run_program("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        stack.enter_context(mounted(image, tmp_path / "disk"))
        yield tmp_path / "disk"


def cut_power_while_protecting(disk: Path, run: Path, cuts: int) -> tuple[int, int]:
    """Versions that were there after cuts at any instant, and how many of them were broken."""
    store = make_store(disk)
    stop = []

    def keep_protecting() -> None:
        while not stop:
            (run / "model.bin").write_bytes(os.urandom(300_000))
            (run / "logs" / "1.txt").write_bytes(os.urandom(50))
            protect(store, run)

    below = disk.parent / "below"
    worker = Thread(target=keep_protecting)
    worker.start()
    try:
        for cut in range(cuts):
            seen = len(store.numbers("gleason"))
            while len(store.numbers("gleason")) < seen + 2:
                time.sleep(0.01)
            run_program("cp", "--reflink=always", str(below / "disk.image"), str(below / f"cut-{cut}"))
    finally:
        stop.append(True)
        worker.join()
    return look_at_cuts(below, disk.parent / "after", cuts)


def look_at_cuts(below: Path, at: Path, cuts: int) -> tuple[int, int]:
    """Mount what each cut left, and read all of every version."""
    visible, broken = 0, 0
    for cut in range(cuts):
        with mounted(below / f"cut-{cut}", at):
            store = make_store(at)
            store.sweep()
            assert not strays(store)
            for number in store.numbers("gleason"):
                visible += 1
                broken += not is_sound(store, number)
    return visible, broken


def is_sound(store: PosixSnapshots, number: int) -> bool:
    """Whether a version and every object that is stored for it are what they were."""
    try:
        store.check(store.document("gleason", number))
    except Permanent:
        return False
    return not [key for key in keys(store) if not key.startswith("versions") and store.verify(key)]


def test_a_power_cut_breaks_no_version(disk: Path, run: Path) -> None:
    visible, broken = cut_power_while_protecting(disk, run, CUTS)
    assert visible >= CUTS
    assert broken == 0


def test_without_syncs_power_cuts_would_break_versions(disk: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulation can tell: with the syncs left out, it finds what is lost."""
    monkeypatch.setattr(capture, "sync_file_system", lambda descriptor: None)
    monkeypatch.setattr(capture.os, "fsync", lambda descriptor: None)
    make_store(disk)
    visible, broken = cut_power_while_protecting(disk, run, 3)
    assert visible == 0 or broken > 0


@pytest.mark.slow
def test_many_power_cuts_break_no_version(disk: Path, run: Path) -> None:
    visible, broken = cut_power_while_protecting(disk, run, 40)
    assert (visible > 100, broken) == (True, 0)


def test_what_is_stored_cannot_be_removed_even_by_root(disk: Path, run: Path) -> None:
    if not can_seal(disk):
        pytest.skip("this process may not seal")
    store = make_store(disk, immutable=True)
    document = protect(store, run)
    for key in keys(store):
        for forbidden in (os.unlink, lambda path: os.truncate(path, 0), lambda path: os.rename(path, f"{path}.gone")):
            with pytest.raises(PermissionError):
                forbidden(store.root / key)
    with pytest.raises(OSError, match="Operation not permitted"):
        shutil.rmtree(store.root / "versions")
    (run / "logs" / "0.txt").write_text("other")
    protect(store, run)
    store.check(document)
    victim = store.root / keys(store)[0]
    held = subprocess.run(
        ["setpriv", "--bounding-set=-linux_immutable", "--inh-caps=-linux_immutable", "chattr", "-i", victim],
        capture_output=True,
        check=False,
    )
    assert held.returncode != 0, "a worker without the capability cannot unseal"
    unseal(victim.parent)
    unseal(victim)
    victim.unlink()


def test_a_kill_before_sealing_is_made_up_for(disk: Path, run: Path) -> None:
    if not can_seal(disk):
        pytest.skip("this process may not seal")
    store = make_store(disk, immutable=True)
    protect(store, run)
    unsealed = store.root / next(key for key in keys(store) if key.startswith("blobs"))
    unseal(unsealed)
    left = store.root / ".aside" / "killed"
    left.mkdir()
    (left / "placing").write_text(f"{unsealed.relative_to(store.root)}\n")
    assert store.sweep() == 1
    with unsealed.open("rb") as stream:
        assert (flags_of(stream.fileno()) or 0) & IMMUTABLE
    assert not strays(store)


CHILD = """
import subprocess, sys
from slidekeeper.adapters.snapshots.kernel import keep_to_this_process
keep_to_this_process()
own = next(line for line in open("/proc/self/status") if line.startswith("CapEff"))
child = subprocess.run(["grep", "CapEff", "/proc/self/status"], capture_output=True, text=True).stdout
print(int(own.split()[1], 16) >> 9 & 1, int(child.split()[1], 16) >> 9 & 1)
"""


@pytest.mark.skipif(not has("setpriv"), reason="needs root and setpriv")
def test_only_the_daemon_itself_may_unseal() -> None:
    if "linux_immutable" not in run_program("setpriv", "--dump"):
        pytest.skip("this process may not seal")
    capabilities = ("--inh-caps=+linux_immutable", "--ambient-caps=+linux_immutable", "--no-new-privs")
    as_service = ["setpriv", "--reuid=65534", "--clear-groups", *capabilities]
    said = subprocess.run([*as_service, sys.executable, "-c", CHILD], capture_output=True, text=True, check=False)
    if said.returncode:
        pytest.skip("another user cannot read this checkout")
    assert said.stdout.split() == ["1", "0"]


@pytest.mark.skipif(not has("setpriv"), reason="needs root and setpriv")
def test_what_may_not_be_read_is_listed_as_missing(tmp_path: Path, run: Path) -> None:
    (run / "model.bin").chmod(0)
    (run / "logs" / "3.txt").chmod(0)
    (run / "closed").mkdir(0)
    assert live(tmp_path, run, "setpriv", "--bounding-set=-dac_override,-dac_read_search", "--") == 0
    store = make_store(tmp_path)
    document = store.document("gleason", 1)
    found = contents(store, document)
    assert document.missing == 3
    assert [found[b"artifacts/" + name] for name in (b"model.bin", b"logs/3.txt", b"closed")] == ["unreadable"] * 3
