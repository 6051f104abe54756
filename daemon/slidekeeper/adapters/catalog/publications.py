"""Writes the catalog as researchers read it: one Parquet file for each view, and those that are made of records in the bucket.

Rows of records pass through without being kept: they are read from the bucket each time something changed, so that what is removed there
is gone here. Files of many batches are joined in portions, for DuckDB holds the footers of all files that it reads together, and counts
them towards no limit.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import structlog

from slidekeeper.adapters.catalog.cohorts import ROW_GROUP as COHORT_ROW_GROUP
from slidekeeper.adapters.catalog.cohorts import cohort_query, prepare
from slidekeeper.adapters.catalog.quoting import quoted
from slidekeeper.adapters.catalog.schema import PUBLISHED
from slidekeeper.adapters.catalog.troubles import passing_trouble
from slidekeeper.errors import Unavailable
from slidekeeper.model.records import ALIGNMENT_ROWS, alignment_key, rows_file

log = structlog.get_logger(__name__)

ROW_GROUP = 20480
"""Rows of a Parquet file that are held in memory until they are written: DuckDB's own 122,880 are more than its memory limit allows."""

FILES_TOGETHER = 256
"""Files that are read together; the footers of so many with forty columns take some 40 MB."""

SNAPSHOT_SECONDS = 86400
"""Folders of queries that were killed are removed when they are so old."""

FOUND = "read_parquet(?, union_by_name = true, filename = '__path') AS found JOIN record_files AS file ON file.path = found.__path"

RECORDS = """
    SELECT file.* EXCLUDE (path, source), found.* EXCLUDE __path
    FROM (
        SELECT COLUMNS(lambda name: name NOT IN ('contract', 'contract_version'))
        FROM read_parquet(?, union_by_name = true, filename = '__path')) AS found
    JOIN record_files AS file ON file.path = found.__path
    ANTI JOIN withdrawn_slides AS gone ON gone.number = found.slide_number
    ANTI JOIN hidden_rows AS hidden ON hidden.records = file.records AND hidden.source = file.source AND hidden.row = found.row
"""
"""What the files say of their contract stands in the records' facts too, and there for every revision that was ever stored."""

ALIGNMENT = f"""
    SELECT slide_number, case_number, patient_number, records, batch, found.source, row, match_method
    FROM {FOUND}
    ANTI JOIN withdrawn_slides AS gone ON gone.number = found.slide_number
    WHERE problem IS NULL
"""  # noqa: S608 - no value from outside

HIDDEN = f"""
    INSERT INTO hidden_rows
    SELECT records, found.source, row FROM {FOUND} WHERE slide_number IN (SELECT number FROM withdrawn_slides)
"""  # noqa: S608 - no value from outside
"""Rows that are tied to slides whose withdrawal is under way; where they name it otherwise, only the alignment tells."""

NO_ALIGNMENT = """
    SELECT ''::VARCHAR AS slide_number, ''::VARCHAR AS case_number, ''::VARCHAR AS patient_number, ''::VARCHAR AS records,
           ''::VARCHAR AS batch, ''::VARCHAR AS source, 0::BIGINT AS row, ''::VARCHAR AS match_method
    WHERE false
"""

CASES = """
    SELECT case_number, if(min(patient_number) = max(patient_number), min(patient_number), NULL) AS patient_number,
           count(DISTINCT slide_number) AS slides
    FROM read_parquet('{alignment}') WHERE case_number IS NOT NULL GROUP BY case_number
"""

PATIENTS = """
    SELECT patient_number, count(DISTINCT case_number) AS cases, count(DISTINCT slide_number) AS slides
    FROM read_parquet('{alignment}') WHERE patient_number IS NOT NULL GROUP BY patient_number
"""


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A Parquet file in the bucket, and what is known of all its rows."""

    path: Path
    source: str
    """Empty for an alignment, which is of all sources."""
    records: str
    batch: str
    revision: int
    contract: str = ""
    contract_version: int = 0
    digest: str = ""


FILE_COLUMNS = {
    "path": "VARCHAR",
    "source": "VARCHAR",
    "records": "VARCHAR",
    "batch": "VARCHAR",
    "revision": "INTEGER",
    "contract": "VARCHAR",
    "contract_version": "INTEGER",
}
"""What queries are told of each file; all but the first two are published with its rows."""


class Publications:
    """Remembers what each published file holds, and writes those that changed."""

    def __init__(self, objects: Path | None) -> None:
        """``objects`` is the bucket's root; without it nothing is made of records."""
        self._objects = objects
        self._held: dict[Path, Hashable] = {}
        """What each published file was made of."""

    def publish(self, connection: duckdb.DuckDBPyConnection, folder: Path, changes: Mapping[str, int]) -> None:
        """Write into ``folder`` what changed; ``changes`` counts the changes of each table.

        Raises:
            Unavailable: the bucket's records cannot be read; what is made of slides is published all the same.
        """
        folder.mkdir(parents=True, exist_ok=True)
        _remove_left_snapshots(folder)
        for view, table in PUBLISHED.items():
            with self._unless_held(folder / f"{view}.parquet", changes[table]) as target:
                if target:
                    _copy(connection, f"FROM {view}", [], target)
        if self._objects:
            current = connection.execute("SELECT records, batch, revision, key, sources, alignment FROM current_records ORDER BY key")
            self._publish_records(connection, folder, current.fetchall(), changes["withdrawn_slides"])

    def _publish_records(
        self, connection: duckdb.DuckDBPyConnection, folder: Path, current: Sequence[tuple[Any, ...]], withdrawals: int
    ) -> None:
        sources, alignments = self._files(current)
        with _bucket_troubles():
            _hide_rows(connection, alignments)
            for source, files in sources.items():
                with self._unless_held(folder / f"records_{source}.parquet", (tuple(files), withdrawals)) as target:
                    if target:
                        _gather(connection, RECORDS, files, target)
            self._publish_alignment(connection, folder, alignments, (tuple(alignments), withdrawals))
            aligned = (tuple(alignments), withdrawals, _rescans(connection))  # rows change only with their alignment
            with self._unless_held(folder / "cohort.parquet", aligned) as target:
                if target:
                    _publish_cohort(connection, folder, list(sources), target)
        for left in set(folder.glob("records_*.parquet")) - {folder / f"records_{source}.parquet" for source in sources}:
            left.unlink()

    def _publish_alignment(
        self, connection: duckdb.DuckDBPyConnection, folder: Path, files: Sequence[RecordFile], version: Hashable
    ) -> None:
        alignment = folder / "alignment.parquet"
        with self._unless_held(alignment, version) as target:
            if target:
                _gather(connection, ALIGNMENT, files, target) if files else _copy(connection, NO_ALIGNMENT, [], target)
        for name, query in {"cases": CASES, "patients": PATIENTS}.items():
            with self._unless_held(folder / f"{name}.parquet", version) as target:
                if target:
                    _copy(connection, query.format(alignment=quoted(alignment)), [], target)

    def _files(self, current: Sequence[tuple[Any, ...]]) -> tuple[Mapping[str, Sequence[RecordFile]], Sequence[RecordFile]]:
        """The current files of each source, and those of the alignments."""
        objects = self._objects or Path()
        sources: defaultdict[str, list[RecordFile]] = defaultdict(list)
        alignments = []
        for records, batch, revision, key, facts, alignment in current:
            for each in facts:
                path = objects / key / rows_file(each["source"])
                about = (each["contract"], each["contract_version"], each["digest"])
                sources[each["source"]].append(RecordFile(path, each["source"], records, batch, revision, *about))
            if alignment is not None:
                path = objects / alignment_key(batch, revision, alignment) / ALIGNMENT_ROWS
                alignments.append(RecordFile(path, "", records, batch, revision))
        return dict(sorted(sources.items())), alignments

    @contextmanager
    def _unless_held(self, target: Path, version: Hashable) -> Iterator[Path | None]:
        """The target where it has to be written; remembered as written when the block ends well."""
        wanted = self._held.get(target) != version or not target.exists()
        yield target if wanted else None
        self._held[target] = version


def _hide_rows(connection: duckdb.DuckDBPyConnection, alignments: Sequence[RecordFile]) -> None:
    """Find the rows that are tied to slides whose withdrawal is under way."""
    connection.execute("CREATE OR REPLACE TEMP TABLE hidden_rows (records VARCHAR, source VARCHAR, row BIGINT)")
    if connection.execute("FROM withdrawn_slides LIMIT 1").fetchone():
        for portion in _portions(alignments):
            _name_files(connection, portion)
            connection.execute(HIDDEN, [[str(file.path) for file in portion]])


def _gather(connection: duckdb.DuckDBPyConnection, query: str, files: Sequence[RecordFile], target: Path) -> None:
    """Write ``query`` over all files, portion by portion."""
    parts = target.with_name(f".{target.name}.parts")
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    try:
        written = []
        for number, portion in enumerate(_portions(files)):
            _name_files(connection, portion)
            written.append(parts / f"{number}.parquet")
            _copy(connection, query, [[str(file.path) for file in portion]], written[-1])
        if len(written) == 1:
            written[0].replace(target)
        else:
            _copy(connection, "FROM read_parquet(?, union_by_name = true)", [[str(part) for part in written]], target)
    finally:
        shutil.rmtree(parts)


def _portions(files: Sequence[RecordFile]) -> Iterator[Sequence[RecordFile]]:
    return (files[start : start + FILES_TOGETHER] for start in range(0, len(files), FILES_TOGETHER))


def _name_files(connection: duckdb.DuckDBPyConnection, files: Sequence[RecordFile]) -> None:
    """Let the query know what is known of each file.

    Raises:
        Unavailable: one is not there.
    """
    missing = sum(not file.path.is_file() for file in files)
    if missing:
        raise Unavailable("bucket", "records-missing", f"{missing} files of records are not there", "Mount the bucket, or restore them")
    known = {name: [str(getattr(file, name)) for file in files] for name in FILE_COLUMNS}
    columns = ", ".join(f"unnest(${name})::{kind} AS {name}" for name, kind in FILE_COLUMNS.items())
    connection.execute(f"CREATE OR REPLACE TEMP TABLE record_files AS SELECT {columns}", known)


def _publish_cohort(connection: duckdb.DuckDBPyConnection, folder: Path, sources: Sequence[str], target: Path) -> None:
    """Sorted where the catalog's memory allows, else as it comes; where not even that, there is none: all it says stands elsewhere too."""
    for is_sorted, row_group in ((True, COHORT_ROW_GROUP), (False, ROW_GROUP)):
        try:
            prepare(connection, folder)
            _copy(connection, cohort_query(connection, folder, sources, is_sorted=is_sorted), [], target, row_group)
            return
        except duckdb.OutOfMemoryException:
            log.warning("cohort not published as it should be", is_sorted=is_sorted, remedy="raise [catalog] memory_megabytes")
    target.unlink(missing_ok=True)


def _rescans(connection: duckdb.DuckDBPyConnection) -> int:
    """How many revisions are not the first: the facts of an aligned slide change with a rescan, and with nothing else."""
    ((count,),) = connection.execute("SELECT count(*) FROM stored_revisions WHERE revision > 1").fetchall()
    return int(count)


def _copy(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any], target: Path, row_group: int = ROW_GROUP) -> None:
    """Write a query's rows beside the target, durably, and let them take its place."""
    aside = target.with_name(f".{target.name}.part")
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {row_group}"
    connection.execute(f"COPY ({query}) TO '{quoted(aside)}' ({options})", list(parameters))
    with aside.open("rb") as written:
        os.fsync(written.fileno())
    aside.replace(target)


def _remove_left_snapshots(folder: Path) -> None:
    """Remove what killed queries left: their links would keep alive what was withdrawn since."""
    for snapshot in folder.glob(".query-*"):
        if time.time() - snapshot.stat().st_mtime > SNAPSHOT_SECONDS:
            shutil.rmtree(snapshot, ignore_errors=True)


@contextmanager
def _bucket_troubles() -> Iterator[None]:
    """What is wrong with a file of records is a trouble of the bucket, and no damage of the catalog."""
    try:
        yield
    except duckdb.Error as error:
        if passing_trouble(error):
            raise
        remedy = "Compare the bucket with the journal: `slidekeeper verify`"
        raise Unavailable("bucket", "records-unreadable", type(error).__name__, remedy) from None
