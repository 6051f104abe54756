"""Milliseconds that a cohort filter takes over many aligned slides in published Parquet.

.venv/bin/python scripts/bench/cohort.py --slides 10000000

Stain, scanner and year stand in one source, the grade in another. The cohort is the typical one: a stain, a grade, a scanner and a
year, which some 0.7 per cent of the slides have in common; asked of the published table ``cohort``, sorted as the daemon sorts it. The same
question is asked of a table that is not sorted, and of two sources joined. Each question opens a locked connection of its own, as
``slidekeeper query`` does: what that costs is told first.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import duckdb

from slidekeeper.adapters.catalog.cohorts import ROW_GROUP as COHORT_ROW_GROUP
from slidekeeper.adapters.query.duckdb_query import DuckdbQuery

ROUNDS = 15
ROW_GROUP = 20480
"""As the daemon publishes."""

MADE_UP = """
    SELECT printf('%012x', i // 100) AS records, i % 100 + 2 AS row, (100000000000 + i)::VARCHAR AS slide_number,
           ['HE', 'Ki67', 'PSA', 'p63', 'AMACR'][1 + (hash(i) % 5)::INTEGER] AS stain,
           ['A', 'B', 'C', 'D'][1 + (hash(i + 1) % 4)::INTEGER] AS scanner,
           2010 + (hash(i + 2) % 15)::INTEGER AS year, 1 + (hash(i + 3) % 5)::INTEGER AS grade
    FROM range({slides}) AS made_up(i)
"""

TABLES = {
    "records_imagery": "SELECT * EXCLUDE grade FROM made_up",
    "records_diagnoses": "SELECT records, row, slide_number, grade FROM made_up",
    "records_whole": "FROM made_up",
    "cohort": "SELECT * EXCLUDE (records, row) FROM made_up ORDER BY scanner, grade, stain, year, slide_number",
    "alignment": "SELECT slide_number, records, source, row FROM made_up, (VALUES ('imagery'), ('diagnoses')) AS sources(source)",
}

WANTED = "stain = 'HE' AND grade = 4 AND scanner = 'B' AND year = 2021"

QUESTIONS = {
    "nothing but a connection": "SELECT 1 FROM (SELECT 'HE' AS stain, 4 AS grade, 'B' AS scanner, 2021 AS year)",
    "cohort, count": "SELECT count(*) FROM cohort",
    "cohort, numbers": "SELECT slide_number FROM cohort",
    "one table, count": "SELECT count(*) FROM records_whole",
    "one table, numbers": "SELECT slide_number FROM records_whole",
    "two sources, joined by slide, numbers": "SELECT slide_number FROM records_imagery JOIN records_diagnoses USING (slide_number)",
    "two sources, joined through the alignment, numbers": """
        SELECT i.slide_number FROM records_imagery i JOIN alignment a ON a.records = i.records AND a.row = i.row AND a.source = 'imagery'
        JOIN alignment b ON b.slide_number = a.slide_number AND b.source = 'diagnoses'
        JOIN records_diagnoses d ON d.records = b.records AND d.row = b.row""",
}
"""Each is asked with :data:`WANTED` behind it."""


def publish(folder: Path, slides: int) -> None:
    """Write the tables as the daemon does."""
    with duckdb.connect(config={"temp_directory": str(folder / "spill")}) as connection:
        connection.execute(f"CREATE TABLE made_up AS {MADE_UP.format(slides=slides)}")
        for name, query in TABLES.items():
            row_group = COHORT_ROW_GROUP if name == "cohort" else ROW_GROUP
            options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {row_group}"
            connection.execute(f"COPY ({query}) TO '{folder / name}.parquet' ({options})")


def ask(query: DuckdbQuery, question: str) -> tuple[float, int]:
    """Milliseconds from the question to its last row, and how many rows came."""
    started = time.perf_counter()
    with query.ask(question) as answer:
        rows = sum(1 for _ in answer.rows)
    return (time.perf_counter() - started) * 1000, rows


def measure(slides: int, megabytes: int) -> None:
    """Publish, then ask each question many times."""
    with tempfile.TemporaryDirectory(prefix="slidekeeper-bench-") as name:
        publish(Path(name), slides)
        query = DuckdbQuery(Path(name), megabytes, 600)
        for title, question in QUESTIONS.items():
            rounds = ROUNDS if title.startswith(("one", "cohort", "nothing")) else ROUNDS // 3
            taken, rows = zip(*(ask(query, f"{question} WHERE {WANTED}") for _ in range(rounds)), strict=True)
            print(f"{title:52} median {statistics.median(taken):8.1f} ms, best {min(taken):8.1f} ms   {rows[0]:,} rows", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=10_000_000)
    parser.add_argument("--megabytes", type=int, default=1024, help="Memory that a question may use.")
    options = parser.parse_args()
    measure(options.slides, options.megabytes)
