"""The table that cohorts are chosen from: each aligned slide once, with what every source says of it, sorted so that a filter skips most.

It is made of the files that were just published, so that a question needs no join. Columns with few values come first in the order:
within a stain all slides of one scanner lie together, within these all of one grade. A filter on any of them then reads a part of the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from slidekeeper.adapters.catalog.quoting import quoted

ROW_GROUP = 61_440
"""More than of other tables, for fewer are read; as many as the memory of the catalog allows."""

SAMPLE = 100_000
"""Rows of a source that tell how many values a column has."""
FEW = range(2, 501)
"""Values of a column by which it makes sense to sort."""
SORTED_BY = 6
SORTABLE = frozenset({"VARCHAR", "BOOLEAN", "INTEGER", "BIGINT"})

OF_ALIGNMENT = ("case_number", "patient_number", "batch")
OF_SLIDES = ("revision", "key", "format", "magnification", "mpp", "size", "stored")
OF_ROWS = frozenset(
    {"records", "batch", "revision", "contract", "contract_version", "contract_digest", "row", "slide_number", "case_number"}
    | {"patient_number"}
)
"""Columns of a source that say where a row is from, not what it tells."""

SUPERSEDED = """
    CREATE OR REPLACE TEMP TABLE superseded AS
    WITH several AS (
        SELECT slide_number FROM read_parquet('{alignment}') GROUP BY slide_number HAVING min(records) <> max(records))
    SELECT DISTINCT slide_number, records FROM read_parquet('{alignment}') SEMI JOIN several USING (slide_number)
    JOIN current_records USING (records)
    QUALIFY (arrived, records) < max((arrived, records)) OVER (PARTITION BY slide_number)
"""
"""Of a slide that rows of several sessions are tied to, all deliveries but the newest."""

TIED = """
    (SELECT tie.slide_number, tie.case_number, tie.patient_number, tie.batch{columns}
     FROM read_parquet('{alignment}') AS tie JOIN read_parquet('{rows}') AS told USING (records, row)
     ANTI JOIN superseded AS older ON older.slide_number = tie.slide_number AND older.records = tie.records
     WHERE tie.source = '{source}')
"""


def prepare(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Find what a newer delivery says otherwise; before the query of :func:`cohort_query` runs."""
    connection.execute(SUPERSEDED.format(alignment=quoted(folder / "alignment.parquet")))


def cohort_query(connection: duckdb.DuckDBPyConnection, folder: Path, sources: Sequence[str], *, is_sorted: bool = True) -> str:
    """The query whose answer is published as ``cohort``, over the tables published in ``folder``.

    A column ``stain`` of the source ``imagery`` is called ``imagery_stain``. Without sources it has the fixed columns, and no rows.
    """
    files = {source: folder / f"records_{source}.parquet" for source in sources}
    told = {source: _columns(connection, file) for source, file in files.items()}
    joins = "".join(
        f" LEFT JOIN {_tied(folder, source, told[source])} AS t_{source} ON t_{source}.slide_number = number" for source in files
    )
    first = [f"{_first(sources, name)} AS {name}" for name in OF_ALIGNMENT]
    others = [f'"{source}_{name}"' for source, names in told.items() for name in names]
    columns = ", ".join(["number AS slide_number", *first, *(f"slides.{name}" for name in OF_SLIDES), *others])
    order = f" ORDER BY {', '.join([*_order(connection, files, told), 'slide_number'])}" if is_sorted else ""
    return f"SELECT {columns} FROM slides{joins} WHERE {_first(sources, 'slide_number')} IS NOT NULL{order}"  # noqa: S608


def _columns(connection: duckdb.DuckDBPyConnection, file: Path) -> Mapping[str, str]:
    """Names and types of the columns that tell something."""
    described = connection.execute(f"DESCRIBE FROM read_parquet('{quoted(file)}')").fetchall()
    return {name: kind for name, kind, *_ in described if name not in OF_ROWS}


def _tied(folder: Path, source: str, names: Mapping[str, str]) -> str:
    """A source's rows with the slides that they are tied to."""
    columns = "".join(f', told."{name}" AS "{source}_{name}"' for name in names)
    files = {"alignment": quoted(folder / "alignment.parquet"), "rows": quoted(folder / f"records_{source}.parquet")}
    return TIED.format(source=source, columns=columns, **files)


def _first(sources: Sequence[str], name: str) -> str:
    """The first source's answer."""
    return f"coalesce({', '.join([*(f't_{source}.{name}' for source in sources), 'NULL::VARCHAR'])})"


def _order(connection: duckdb.DuckDBPyConnection, files: Mapping[str, Path], told: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The columns to sort by, those with the fewest values first."""
    counts = {
        f'"{source}_{name}"': count
        for source, columns in told.items()
        for name, count in _counted(connection, files[source], [name for name, kind in columns.items() if kind in SORTABLE]).items()
    }
    few = [name for name, count in counts.items() if count in FEW]
    return sorted(few, key=lambda name: (counts[name], name))[:SORTED_BY]


def _counted(connection: duckdb.DuckDBPyConnection, file: Path, names: Sequence[str]) -> Mapping[str, int]:
    """About how many values each column has."""
    if not names:
        return {}
    counts = ", ".join(f'approx_count_distinct("{name}")' for name in names)
    counted = connection.execute(f"SELECT {counts} FROM (FROM read_parquet('{quoted(file)}') LIMIT {SAMPLE})").fetchone()  # noqa: S608
    return dict(zip(names, counted or (), strict=True))
