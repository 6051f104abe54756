"""What csv.writer writes comes back cell by cell; what is broken is rejected by its line, and takes no other row with it."""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slidekeeper.adapters.tables.duckdb_csv import DuckdbCsvReader
from slidekeeper.errors import Permanent
from slidekeeper.model.contract import Contract
from slidekeeper.ports.tables import LINE
from writers.contracts import texts

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252")
SMALL_BLOCKS = DuckdbCsvReader(block_bytes=7)


def read(data: bytes, contract: Contract, reader: DuckdbCsvReader | None = None) -> tuple[list[tuple[Any, ...]], list[tuple[int, str]]]:
    """Rows with their lines, and rejects as line and code."""
    table = (reader or DuckdbCsvReader()).read(io.BytesIO(data), contract)
    assert table.rows.reveal().columns == [LINE, *(column.name for column in contract.columns)]
    assert table.rejects["column"].unique().to_list() in ([], [""])
    return table.rows.reveal().rows(), [(line, code) for line, _, code in table.rejects.rows()]


def lines(*rows: bytes, header: bytes = b"Image File,T 1,T 2") -> bytes:
    """A file of three columns."""
    return b"\n".join([header, *rows, b""])


def refusal(data: bytes, contract: Contract) -> Permanent:
    """Why the file is refused."""
    with pytest.raises(Permanent) as refused:
        DuckdbCsvReader().read(io.BytesIO(data), contract)
    assert refused.value.__context__ is None or refused.value.__suppress_context__
    return refused.value


marks = st.sampled_from(list("\",;\t\r\n'\\ #"))


def cells(encoding: str) -> st.SearchStrategy[str]:
    """Texts that the encoding can write, many of them made of what means something in CSV."""
    plain = st.characters(codec=encoding.removesuffix("-sig"), exclude_categories=["Cc", "Cs"])
    return st.text(plain | marks)


@st.composite
def tables(draw: st.DrawFn) -> tuple[bytes, Contract, list[list[str]]]:
    """A table written by csv.writer in some dialect, its contract, and its rows."""
    width = draw(st.integers(1, 5))
    encoding = draw(st.sampled_from(ENCODINGS))
    rows = draw(st.lists(st.lists(cells(encoding), min_size=width, max_size=width), max_size=8))
    escape = draw(st.sampled_from(['"', "\\"]))
    contract = texts(width, encoding=encoding, dialect={"delimiter": draw(st.sampled_from(",;\t|")), "escape": escape})
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=contract.dialect.delimiter,
        doublequote=escape == '"',
        escapechar=None if escape == '"' else escape,
        quoting=csv.QUOTE_MINIMAL if escape == '"' and draw(st.booleans()) else csv.QUOTE_ALL,
        lineterminator="\r\n",
    )
    writer.writerows([[column.name for column in contract.columns], *rows])
    return text.getvalue().encode(encoding), contract, rows


def expected(rows: Sequence[Sequence[str]]) -> list[tuple[Any, ...]]:
    """The rows with their lines, empty cells as null."""
    found, line = [], 2
    for row in rows:
        found.append((line, *(cell or None for cell in row)))
        line += 1 + sum(len(io.StringIO(cell, newline=None).read().split("\n")) - 1 for cell in row)
    return found


@settings(deadline=None, max_examples=80)
@given(tables(), st.booleans())
def test_a_written_table_comes_back_exactly(table: tuple[bytes, Contract, list[list[str]]], small: bool) -> None:
    data, contract, rows = table
    assert read(data, contract, SMALL_BLOCKS if small else None) == (expected(rows), [])


BROKEN = {
    b"a,b": "wrong-field-count",
    b"a,b,c,d": "wrong-field-count",
    b'a,"b"x,c': "broken-quote",
    b'a,5" core,c': "broken-quote",
    b'a, "b",c': "broken-quote",
    b'a,"b,c': "broken-quote",
}
SOUND = [b"a,b,c", b'"a",b,"c"', b'a,"b\nb",c', b",,", b'"x, y",b,"say ""z"""']


@settings(deadline=None, max_examples=80)
@given(st.lists(st.sampled_from([*SOUND, *BROKEN, b""])), st.sampled_from([b"\n", b"\r\n", b"\r"]), st.booleans())
def test_exactly_the_broken_rows_are_rejected(rows: list[bytes], newline: bytes, small: bool) -> None:
    wanted, line, starts = [], 2, []
    for row in rows:
        if row in BROKEN:
            wanted.append((line, BROKEN[row]))
        elif row:
            starts.append(line)
        line += 1 + row.count(b"\n")
    found, rejects = read(newline.join([b"Image File,T 1,T 2", *rows, b""]), texts(3), SMALL_BLOCKS if small else None)
    assert ([row[0] for row in found], rejects) == (starts, wanted)


def test_an_open_quote_takes_no_other_row_with_it() -> None:
    rows, rejects = read(lines(b'1,"open,x', b"2,b,c", b'3,"b",c', b"4,b,c"), texts(3))
    assert ([row[1] for row in rows], rejects) == (["2", "3", "4"], [(2, "broken-quote")])


def test_two_open_quotes_that_make_a_cell_are_one_row_of_the_wrong_width() -> None:
    rows, rejects = read(lines(b'1,"open', b'2,x",c,d', b"4,b,c"), texts(3))
    assert ([row[1] for row in rows], rejects) == (["4"], [(2, "wrong-field-count")])


def test_an_open_quote_without_any_other_takes_no_other_row_with_it() -> None:
    rows, rejects = read(lines(b'1,"open,x', *[b"2,b,c"] * 5000), texts(3))
    assert (len(rows), rejects) == (5000, [(2, "broken-quote")])


def test_a_row_longer_than_a_megabyte_is_rejected_alone() -> None:
    rows, rejects = read(lines(b"1,b,c", b"2," + b"x" * (1 << 20) + b",c", b"3,b,c"), texts(3))
    assert ([row[0] for row in rows], rejects) == ([2, 4], [(3, "line-too-long")])


def test_a_row_of_almost_a_megabyte_is_read() -> None:
    long = b"x" * ((1 << 20) - 20)
    rows, _ = read(lines(b'1,"' + long + b'",c', b"2," + long + b",c"), texts(3))
    assert [len(row[2]) for row in rows] == [len(long)] * 2


def test_text_without_any_line_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(Permanent, match="line-too-long: line 2"):
        DuckdbCsvReader(block_bytes=1 << 16).read(io.BytesIO(lines(b"x" * (4 << 20))), texts(3))


def test_identifiers_and_words_stay_as_they_stand() -> None:
    rows, _ = read(lines(b"007,NULL, true ", b'"",NA,1e5'), texts(3))
    assert rows == [(2, "007", "NULL", " true "), (3, None, "NA", "1e5")]


def test_a_reordered_header_is_read_by_name() -> None:
    rows, _ = read(lines(b"c,a,b", header=b'T 2,"Image File",T 1'), texts(3))
    assert rows == [(2, "a", "b", "c")]


def test_a_file_may_end_without_a_newline_and_hold_no_row() -> None:
    assert read(b"Image File,T 1\na,b", texts(2)) == ([(2, "a", "b")], [])
    assert read(b"Image File,T 1", texts(2)) == ([], [])
    assert read(b"\n\nImage File,T 1\n\na,b", texts(2)) == ([(5, "a", "b")], [])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty-file: there is no header"),
        (b"\r\n\n", "empty-file: there is no header"),
        (b'Image File,"T 1\n', "broken-header: a quote in the header is broken"),
        (b"Image File,T 1,Jane Doe\n", "unknown-column: column 3 is not in the contract"),
        (b"Image File,secret,x\n", "unknown-column: columns 2, 3 are not in the contract; not there: T 1"),
        (b"Image File,t1\n", "unknown-column: column 2 is not in the contract; column 2 is T 1 but for case or spaces; not there: T 1"),
        (b"Image File\n", "missing-column: not there: T 1"),
        (b"Image File,T 1,Image File\n", "duplicate-column: column 3 is there before"),
        (b"Image File;T 1\n", "unknown-column: the header is a single column and not in the contract"),
        (b"Image File,T 1\na,b\nc,\0\n", "nul-byte: line 3 holds a zero byte"),
    ],
)
def test_a_file_that_is_not_what_the_contract_says_is_refused(data: bytes, said: str) -> None:
    assert str(refusal(data, texts(2))).startswith(said)


@pytest.mark.parametrize(
    ("encoding", "wrong"),
    [("utf-8", b"\xe9"), ("latin-1", b"\x93"), ("cp1252", b"\x81"), ("utf-16", "\ud800".encode("utf-16-le", "surrogatepass"))],
)
@pytest.mark.parametrize("block_bytes", [2, 1 << 20])
def test_wrong_bytes_refuse_the_file_by_their_line(encoding: str, wrong: bytes, block_bytes: int) -> None:
    data = 'Image File\r\n"a\rb"\r\nx'.encode(encoding) + wrong + "\r\n".encode("utf-16-le" if encoding == "utf-16" else encoding)
    with pytest.raises(Permanent, match=f"wrong-encoding: line 4 is not {encoding}"):
        DuckdbCsvReader(block_bytes=block_bytes).read(io.BytesIO(data), texts(1, encoding=encoding))


def test_utf_16_without_a_mark_and_marks_of_others_are_refused() -> None:
    assert refusal("Image File\n".encode("utf-16-le"), texts(1, encoding="utf-16")).reason == "wrong-encoding"
    assert refusal("Image File\n".encode("utf-8-sig"), texts(1, encoding="cp1252")).reason == "wrong-encoding"
    assert refusal("Image File\n".encode("utf-16"), texts(1)).reason == "wrong-encoding"


def test_no_error_and_no_repr_quotes_the_file() -> None:
    data = lines(b"Jane Doe,b,c", b'Jane Doe,"b"Doe,c', header=b"Image File,T 1,T 2")
    table = DuckdbCsvReader().read(io.BytesIO(data), texts(3))
    assert "Doe" not in repr(table) + str(table.rejects)
    assert "Doe" not in str(refusal(b"Doe,T 1,T 2\n", texts(3)))


def open_files() -> int:
    """How many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_is_left_open() -> None:
    before = open_files()
    read(lines(b"a,b,c"), texts(3))
    refusal(lines(b"a,b,\xff"), texts(3))
    assert open_files() == before


def test_the_reader_travels_to_a_worker() -> None:
    assert pickle.loads(pickle.dumps(SMALL_BLOCKS)) == SMALL_BLOCKS
