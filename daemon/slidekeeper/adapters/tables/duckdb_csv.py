"""Reads a hospital's CSV file with DuckDB, all cells as text, without a byte of it on any disk.

Nothing is detected: the dialect is the contract's, the header is checked by name before, and every row carries its line. Rows that
this house holds for sound and DuckDB does not read are rejected too: two readers must agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
import polars as pl

from slidekeeper.adapters.tables.decoding import decoded, line_ends
from slidekeeper.adapters.tables.framing import LONGEST_ROW, Framed, Grammar, frame
from slidekeeper.adapters.tables.header import check_header
from slidekeeper.errors import Permanent
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Contract
from slidekeeper.ports.tables import LINE, RawTable

REJECTS = pl.Schema({"line": pl.Int64, "column": pl.String, "code": pl.String})


@dataclass(frozen=True, slots=True)
class DuckdbCsvReader:
    """Reads in blocks, so that beside the resulting table only a few blocks are in memory.

    Reject codes: ``wrong-field-count``, ``broken-quote``, ``line-too-long``, ``unreadable-row``.
    """

    block_bytes: int = 16 << 20
    threads: int = 2
    memory_megabytes: int = 512
    """What DuckDB may use for a block."""

    def read(self, stream: BinaryIO, contract: Contract) -> RawTable:
        """Read a whole file; see :class:`slidekeeper.ports.tables.TableReader`.

        Raises:
            Permanent: ``empty-file``, ``broken-header``, ``duplicate-column``, ``unknown-column``, ``missing-column``, ``wrong-encoding``,
                ``nul-byte``, ``line-too-long`` (a line without end), ``unreadable-table``.
        """
        blocks = decoded(stream, contract.encoding, self.block_bytes)
        grammar = Grammar(contract.dialect, len(contract.columns))
        names, text, line = _header(blocks, grammar, contract)
        wanted = [LINE, *(column.name for column in contract.columns)]
        tables = [pl.DataFrame(schema={name: pl.Int64 if name == LINE else pl.String for name in wanted})]
        rejects: list[tuple[int, str]] = []
        with _Cells(contract, names, self.threads, self.memory_megabytes) as cells:
            for framed in _framed(blocks, text, line, grammar, self.block_bytes):
                rejects += framed.rejects
                if framed.lines:
                    table = cells.of(framed)
                    tables.append(table.select(wanted))
                    rejects += _unread(framed, table)
        return RawTable(Concealed(pl.concat(tables)), _as_table(rejects))


def _header(blocks: Iterator[bytes], grammar: Grammar, contract: Contract) -> tuple[list[str], bytes, int]:
    """The names in the file's order, what follows them in the text read so far, and the line on which that begins."""
    text = b""
    while (row := grammar.header.match(text)) is None or row.end() == len(text):
        block = next(blocks, b"")
        if not block or len(text) > LONGEST_ROW:
            break
        text += block
    if not text.strip(b"\r\n"):
        raise Permanent("empty-file", "there is no header", "Export the file again")
    row = grammar.header.match(text) or grammar.header.match(text + b"\n")
    if row is None:
        raise Permanent("broken-header", "a quote in the header is broken", "Export the file again, or correct the contract's dialect")
    names = [name.decode() for name in grammar.cells(row[1])]
    check_header(names, contract)
    return names, text[row.end() :], 1 + line_ends(row[0])


def _framed(blocks: Iterator[bytes], text: bytes, line: int, grammar: Grammar, block_bytes: int) -> Iterator[Framed]:
    """The text cut into rows, block by block."""
    for block in blocks:
        framed = frame(text + block, line, grammar, final=False)
        text, line = framed.rest, framed.line
        if len(text) > 2 * block_bytes + 2 * LONGEST_ROW:
            raise Permanent("line-too-long", f"line {line} does not end", "Correct the contract's encoding or dialect, or export again")
        yield framed
    yield frame(text, line, grammar, final=True)


def _unread(framed: Framed, table: pl.DataFrame) -> list[tuple[int, str]]:
    """Sound rows that DuckDB did not read."""
    if table.height == len(framed.lines):
        return []
    return [(line, "unreadable-row") for line in sorted(set(framed.lines) - set(table[LINE]))]


def _as_table(rejects: Sequence[tuple[int, str]]) -> pl.DataFrame:
    return pl.DataFrame([(line, "", code) for line, code in rejects], schema=REJECTS, orient="row")


class _Cells:
    """DuckDB and one file in memory, opened for it alone: no spilling, no other path, no extension."""

    def __init__(self, contract: Contract, names: Sequence[str], threads: int, memory_megabytes: int) -> None:
        self._names = [LINE, *names]
        self._file = os.memfd_create("rows", os.MFD_CLOEXEC)
        path = f"/proc/self/fd/{self._file}"
        self._query = _query(path, contract, len(names))
        self._duckdb = duckdb.connect(
            config={"autoinstall_known_extensions": False, "autoload_known_extensions": False, "memory_limit": f"{memory_megabytes}MB"}
        )
        for setting in (
            f"threads = {threads}",
            "temp_directory = ''",
            "enable_external_file_cache = false",
            "arrow_output_version = '1.4'",
            "produce_arrow_string_view = true",  # as polars holds text: 1.06 GB instead of 1.5 for a million rows of 40 cells
            f"allowed_paths = ['{path}']",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            self._duckdb.execute(f"SET {setting}")

    def __enter__(self) -> _Cells:
        return self

    def __exit__(self, *_: object) -> None:
        self._duckdb.close()
        os.close(self._file)

    def of(self, framed: Framed) -> pl.DataFrame:
        """The rows' cells, in the rows' order.

        Raises:
            Permanent: ``unreadable-table``.
        """
        os.ftruncate(self._file, 0)
        Path(f"/proc/self/fd/{self._file}").write_bytes(b"".join(framed.rows))
        try:
            table = pl.DataFrame(_ArrowStream(self._duckdb.sql(self._query)))
        except duckdb.Error:
            # DuckDB's messages quote the row.
            raise Permanent("unreadable-table", "DuckDB cannot read rows that look sound", "Report this; the file stays here") from None
        return table.rename(dict(zip(table.columns, self._names, strict=True)))


@dataclass(frozen=True, slots=True)
class _ArrowStream:
    """Nothing of a relation but its Arrow stream; at a whole relation polars would look for what other libraries offer."""

    relation: duckdb.DuckDBPyRelation

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.relation.__arrow_c_stream__(requested_schema)


def _query(path: str, contract: Contract, width: int) -> str:
    """Every option that DuckDB would otherwise choose itself; names of columns are numbers, so that none needs quoting."""
    columns = ", ".join(["'line': 'BIGINT'", *(f"'c{index}': 'VARCHAR'" for index in range(width))])
    delimiter, quote = (mark.replace("'", "''") for mark in (contract.dialect.delimiter, contract.dialect.quote))
    return (
        f"FROM read_csv('{path}', auto_detect = false, header = false, columns = {{{columns}}}, delim = '{delimiter}', quote = '{quote}',"
        f" escape = '{quote}', new_line = '\\n', nullstr = '', comment = '', strict_mode = true, null_padding = false,"
        f" ignore_errors = true, max_line_size = {4 * LONGEST_ROW}, buffer_size = {8 * LONGEST_ROW})"
    )
