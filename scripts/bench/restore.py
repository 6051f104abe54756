"""Restoring a version, with verification, against `cp -a` of the same data in the same run; one file of a huge version; a million files.

.venv/bin/python scripts/bench/restore.py --rounds 3
.venv/bin/python scripts/bench/restore.py --only million --files 1000000
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "daemon"), str(ROOT / "tests")]

from slidekeeper.adapters.snapshots.reading import PosixVersions  # noqa: E402
from slidekeeper.model.tree import DirectoryEntry, FileEntry  # noqa: E402
from slidekeeper.steps.restore.restore import Watch, Wish, restore  # noqa: E402
from slidekeeper.steps.versions.diff import compare  # noqa: E402
from writers.versions import VersionWriter  # noqa: E402

MEGABYTE = 1 << 20
QUIET = Watch(lambda _: None, lambda _: None)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run took."""

    seconds: float
    cpu: float
    """User and system, this process and its children."""


def cpu_seconds() -> float:
    """Processor time so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def timed(work: Callable[[], object]) -> Taken:
    """Run once; what was written before is on the disk, so that nobody pays for another."""
    os.sync()
    cpu, started = cpu_seconds(), time.perf_counter()
    work()
    return Taken(time.perf_counter() - started, cpu_seconds() - cpu)


def make_large(folder: Path, count: int, megabytes: int) -> None:
    """Files of random bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        with (folder / f"large-{index}").open("wb") as stream:
            for _ in range(megabytes):
                stream.write(os.urandom(MEGABYTE))


def make_small(folder: Path, count: int) -> None:
    """Files of 1 to 5 kB in a hundred folders."""
    for index in range(count):
        place = folder / f"folder-{index % 100}"
        place.mkdir(exist_ok=True)
        (place / f"small-{index}").write_bytes(os.urandom(1000 + index * 7 % 4000))


def against_cp(name: str, folder: Path, make: Callable[[Path], None], rounds: int) -> None:
    """Medians of restoring and of copying what `make` makes."""
    made = folder / name
    make(made / "artifacts")
    writer = VersionWriter(folder / f"bucket-{name}")
    document = writer.write("bench", made)
    store = PosixVersions(writer.bucket)
    results: dict[str, list[Taken]] = {"cp -a": [], "restore": []}
    for number in range(rounds):
        for what, taken in results.items():
            out = folder / f"out-{name}-{number}-{what.split()[0]}"  # a new one: ext4 takes long over names next to those just removed
            out.mkdir()
            copying = what == "cp -a"
            command = ["cp", "-a", str(made), str(out / "copy")]
            taken.append(
                timed(
                    (lambda: subprocess.run(command, check=True))  # noqa: B023
                    if copying
                    else (lambda: restore(document, [store], Wish(out / "copy"), QUIET))  # noqa: B023
                )
            )
    seconds = {what: statistics.median(one.seconds for one in taken) for what, taken in results.items()}
    cpu = {what: statistics.median(one.cpu for one in taken) for what, taken in results.items()}
    ratios = [mine.seconds / theirs.seconds for mine, theirs in zip(results["restore"], results["cp -a"], strict=True)]
    print(f"{name}: cp -a {seconds['cp -a']:.2f} s (cpu {cpu['cp -a']:.2f}), restore {seconds['restore']:.2f} s (cpu {cpu['restore']:.2f})")
    print(f"   restore / cp -a: {seconds['restore'] / seconds['cp -a']:.2f}; each round {' '.join(f'{ratio:.2f}' for ratio in ratios)}")
    one = timed(lambda: restore(document, [store], Wish(folder / "one", paths=("artifacts/large-1",), overwrite=True), QUIET))
    print(f"   one file of it: {one.seconds:.2f} s")


def million(folder: Path, files: int) -> None:
    """Two versions of so many made-up entries, a thousand a folder; one in ten folders differs by one file."""
    writer = VersionWriter(folder / "bucket-million")
    documents = [writer.write_tree("bench", _made_tree(writer, files, number)) for number in (1, 2)]
    settings = folder / "slidekeeper.toml"
    settings.write_text(f'[bucket]\npath = "{writer.bucket}"\n')
    store = PosixVersions(writer.bucket)
    diff = timed(lambda: sum(1 for _ in compare(store.children, documents[0].tree, documents[1].tree)))
    print(f"{files:,} files: diff {diff.seconds:.2f} s (cpu {diff.cpu:.2f}), where all folders differ: {_diff_of_all(writer, files):.2f} s")
    for command in (("versions", "list"), ("versions", "show", "bench", "--files"), ("versions", "diff", "bench@v1", "bench@v2")):
        _measure_command(settings, command)


def _diff_of_all(writer: VersionWriter, files: int) -> float:
    """Nothing can be skipped: a file differs in every folder."""
    trees = [_made_tree(writer, files, number, every=1).tree for number in (3, 4)]
    store = PosixVersions(writer.bucket)
    return timed(lambda: sum(1 for _ in compare(store.children, trees[0], trees[1]))).seconds


def _made_tree(writer: VersionWriter, files: int, number: int, every: int = 10) -> DirectoryEntry:
    folders = []
    for index in range(files // 1000):
        first = number if index % every == 0 else 0
        entries = [_made_file(index, place, first if place == 0 else 0) for place in range(1000)]
        folders.append(writer.directory(f"folder-{index:04}".encode(), None, entries, ["0" * 64]))
    return writer.directory(b"root", None, [writer.directory(b"artifacts", None, folders, [])], [])


def _made_file(folder: int, place: int, number: int) -> FileEntry:
    digest = f"{folder * 1000 + place:08x}{number:08x}" * 4
    return FileEntry(name=f"file-{place:04}.npy", size=2000, sha256=digest, mode="0644", mtime=1_600_000_000_000_000_000 + place, pack=0)


def _measure_command(settings: Path, command: tuple[str, ...]) -> None:
    """Seconds and memory of a whole command, the interpreter's start included."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "daemon")}
    program = [sys.executable, "-m", "slidekeeper", "--config", str(settings), *command]
    started = time.perf_counter()
    process = subprocess.Popen(program, stdout=subprocess.PIPE, env=environment)
    lines = sum(1 for _ in process.stdout or ())
    _, status, usage = os.wait4(process.pid, 0)
    seconds, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    print(f"   {' '.join(command)}: {seconds:.2f} s (cpu {cpu:.2f}), {usage.ru_maxrss / 1000:.0f} MB, {lines:,} lines, exit {status}")


def main(options: argparse.Namespace) -> None:
    """Everything, or what was asked for."""
    with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-", dir=options.folder) as temporary:
        folder = Path(temporary)
        print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        if options.only in ("", "A"):
            against_cp("A", folder, lambda place: make_large(place, 12, options.megabytes), options.rounds)
            shutil.rmtree(folder / "A")
        if options.only in ("", "B"):
            against_cp(
                "B",
                folder,
                lambda place: (make_large(place, 5, options.megabytes * 6 // 5), make_small(place, options.small))[0],
                options.rounds,
            )
        if options.only in ("", "million"):
            million(folder, options.files)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["", "A", "B", "million"], default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=250, help="size of a file of A; those of B are a fifth larger")
    parser.add_argument("--small", type=int, default=20_000, help="small files of B")
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, default=None, help="where to work")
    main(parser.parse_args())
