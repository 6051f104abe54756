"""One source of a million rows and forty columns through the whole records workflow: contract, pseudonyms, audit, Parquet.

.venv/bin/python scripts/bench/records.py --rows 1000000

Seconds of the whole and the highest memory of worker and daemon, against DuckDB reading the same file as text and writing it as Parquet.

As in a hospital, the slides have their numbers before the clock starts: records wait for the images of their batch. Cases and patients
are all new: their numbers are drawn, sealed and stored within the measured time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from packs import descendants

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from slidekeeper.adapters.executor.processes import ProcessExecutor  # noqa: E402
from slidekeeper.messages.events import RecordsLoaded  # noqa: E402
from slidekeeper.model.concealed import Concealed  # noqa: E402
from slidekeeper.model.contract import Action, Column, Contract, Domain, Identifies, ValueType  # noqa: E402
from slidekeeper.settings.sections import RecordsSettings  # noqa: E402
from slidekeeper.steps.records.step import LoadStep  # noqa: E402
from steps.records.records_desk import RecordsDesk, records_desk  # noqa: E402

KEPT, DROPPED = 20, 12


def peak_gigabytes(pid: int | str) -> float:
    """Highest resident memory that a process has had so far; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1e6


class WorkerWatch:
    """Highest memory of any process below this one: workers are children of the fork server, whose usage is not told to us."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self.peak = max([self.peak, *map(peak_gigabytes, descendants(os.getpid()))])

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()
        self._thread.join()


def contract() -> Contract:
    """Forty columns as a hospital has them: three identifiers, names, dates, an age, a ZIP code; measurements and vocabularies."""
    columns = [
        Column(name="Image File", identifies=Identifies.FILE_NAME, action=Action.PSEUDONYMIZE, domain=Domain.SLIDE, required=True),
        Column(name="Accession", identifies=Identifies.ID, action=Action.PSEUDONYMIZE, domain=Domain.CASE),
        Column(name="MRN", identifies=Identifies.ID, action=Action.PSEUDONYMIZE, domain=Domain.PATIENT, regex=r"\d{8}"),
        Column(name="Born", type=ValueType.DATE, format="%d.%m.%Y", identifies=Identifies.BIRTH_DATE, action=Action.YEAR),
        Column(name="Collected", type=ValueType.DATE, format="%d.%m.%Y", identifies=Identifies.DATE, action=Action.YEAR),
        Column(name="Age", type=ValueType.INTEGER, identifies=Identifies.AGE, action=Action.GENERALIZE),
        Column(name="ZIP", identifies=Identifies.ZIP, action=Action.ZIP3),
        Column(name="Gleason", identifies=Identifies.FREE_TEXT, action=Action.EXTRACT, grammar="gleason"),
    ]
    columns += [Column(name=f"Secret {i}", identifies=Identifies.NAME if i < 4 else Identifies.OTHER) for i in range(DROPPED)]
    columns += [Column(name=f"Measure {i}", type=ValueType.DECIMAL, action=Action.KEEP) for i in range(KEPT // 2)]
    columns += [Column(name=f"Class {i}", vocabulary=("low", "middle", "high"), action=Action.KEEP) for i in range(KEPT // 2)]
    return Contract(source="bench", version=1, files=("bench*.csv",), columns=tuple(columns))


def image_names(rows: int) -> list[str]:
    """Two slides a case."""
    return [f"S26-{index // 2 + 100000};A;{index % 2}.svs" for index in range(rows)]


def write_table(path: Path, rows: int, rules: Contract) -> None:
    """Made-up rows; two slides a case, four a patient."""
    random, index = np.random.default_rng(1), np.arange(rows)
    days = [f"{day:02d}.{month:02d}.{{}}" for month in range(1, 13) for day in range(1, 29)]

    def dates(first: int, last: int) -> pl.Series:
        pool = np.array([day.format(year) for year in range(first, last) for day in days])
        return pl.Series(random.choice(pool, rows))

    table: dict[str, pl.Series] = {
        "Image File": pl.Series(image_names(rows)),
        "Accession": pl.Series([f"S26-{i // 2 + 100000}" for i in index]),
        "MRN": pl.Series([f"{i // 4 + 10_000_000:08d}" for i in index]),
        "Born": dates(1930, 2000),
        "Collected": dates(2015, 2026),
        "Age": pl.Series(random.integers(18, 99, rows)),
        "ZIP": pl.Series(random.integers(10000, 99999, rows)),
        "Gleason": pl.Series(random.choice(np.array(["Gleason 3+4=7", "Gleason 4+4=8", ""]), rows)),
    }
    for column in rules.columns[len(table) :]:
        if column.name.startswith("Secret"):
            table[column.name] = pl.Series([f"Zq{value:x}" for value in random.integers(0, 1 << 40, rows)])
        elif column.name.startswith("Measure"):
            table[column.name] = pl.Series(random.random(rows).round(4))
        else:
            table[column.name] = pl.Series(random.choice(np.array(column.vocabulary), rows))
    pl.DataFrame(table).write_csv(path)


@asynccontextmanager
async def bench_desk(folder: Path, rules: Contract) -> AsyncIterator[RecordsDesk]:
    """A desk whose load step works in a real worker process."""
    async with records_desk(folder) as desk:
        desk.contracts = {"bench": rules}
        executor = ProcessExecutor(1, 6144, (), jobs_per_worker=1)
        step = desk.load_step
        settings = RecordsSettings()
        desk.load_step = LoadStep(
            step.drop, desk.contracts, step.known, step.linking, executor, step.reader, step.bucket, step.reports, settings,
            step.clock, step.journal, step.version, step.scratch,
        )  # fmt: skip
        await desk.open_batch()
        try:
            yield desk
        finally:
            await executor.close()


async def measure(folder: Path, rows: int) -> None:
    """Write, load, compare."""
    rules = contract()
    (folder / "records" / "monday").mkdir(parents=True, mode=0o700)
    source = folder / "records" / "monday" / "bench.csv"
    write_table(source, rows, rules)
    started = time.perf_counter()
    plain = "SELECT * FROM read_csv(?, all_varchar = true, auto_detect = false, header = true, delim = ',', columns = ?)"
    names = {column.name: "VARCHAR" for column in rules.columns}
    duckdb.execute(f"COPY ({plain}) TO '{folder / 'plain.parquet'}' (FORMAT parquet, COMPRESSION zstd)", [str(source), names])
    reading = time.perf_counter() - started
    async with bench_desk(folder, rules) as desk:
        await desk.linking.refer_slides([Concealed(name) for name in image_names(rows)])
        order = await desk.settle()
        watch = WorkerWatch()
        started = time.perf_counter()
        event = await desk.load_step.run(order)
        seconds = time.perf_counter() - started
        watch.stop()
    came = sum(source.rows for source in event.facts.sources) if isinstance(event, RecordsLoaded) else 0
    print(f"{rows:,} rows, {len(rules.columns)} columns, {source.stat().st_size / 1e6:.0f} MB; {came:,} came through")
    memory = f"worker {watch.peak:.2f} GB, this process {peak_gigabytes('self'):.2f} GB"
    print(f"  whole records workflow             {seconds:6.1f} s   {memory}")
    print(f"  DuckDB, read as text, write Parquet {reading:5.1f} s   ratio {seconds / reading:.1f}   load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-") as place:
        asyncio.run(measure(Path(place), parser.parse_args().rows))
