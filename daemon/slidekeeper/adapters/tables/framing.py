"""Cuts a text into rows, so that each row's line is known and a broken one takes no other with it.

DuckDB tells the lines of rows it rejects, not of those it reads, and goes on after a broken quote wherever it finds its feet. So
rows are cut here by RFC 4180, strictly (a quote opens and closes a cell and stands nowhere else); what is handed on begins with the
number of its line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from slidekeeper.adapters.tables.decoding import line_ends
from slidekeeper.model.contract import Dialect

LONGEST_ROW = 1 << 20
"""Bytes of UTF-8 in one row; beyond, a quote was left open or the file is no table."""
NEWLINE = re.compile(rb"\r\n?|\n")
ENDS = b"\r\n"


class Grammar:
    """What a row of ``width`` cells looks like in a dialect."""

    def __init__(self, dialect: Dialect, width: int) -> None:
        self.delimiter, self.quote, self.escape = dialect.delimiter.encode(), dialect.quote.encode(), dialect.escape.encode()
        delimiter, quote, escape = map(re.escape, (self.delimiter, self.quote, self.escape))
        if self.escape == self.quote:
            quoted = rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % ((quote,) * 6)
        else:
            quoted = rb"%b[^%b%b]*+(?:%b(?s:.)[^%b%b]*+)*+%b" % (quote, quote, escape, escape, quote, escape, quote)
        cell = rb"(?:%b|[^%b%b\r\n]*+)" % (quoted, quote, delimiter)
        self._delimiters = width - 1
        more = rb"(?:%b%b)" % (delimiter, cell)
        self._cell = re.compile(cell)
        self._escaped = re.compile(rb"%b([%b%b])" % (escape, quote, escape))
        self.row = re.compile(rb"%b%b{%d}+(?:\r\n?|\n)" % (cell, more, width - 1))
        self.any_row = re.compile(rb"%b%b*+(?:\r\n?|\n)" % (cell, more))
        self.header = re.compile(rb"[\r\n]*+(%b%b*+(?:\r\n?|\n))" % (cell, more))

    def cells(self, row: bytes) -> list[bytes]:
        """What the cells of a sound row hold; the row's end may follow."""
        found, position, row = [], 0, row.rstrip(ENDS)
        while position <= len(row):
            cell = self._cell.match(row, position)
            if cell is None:
                raise AssertionError("only sound rows have cells")
            found.append(self._escaped.sub(rb"\1", cell[0][1:-1]) if cell[0].startswith(self.quote) else cell[0])
            position = cell.end() + 1
        return found

    def is_plain_row(self, line: bytes) -> bool:
        """Whether a line, ended by LF, is a row without quotes; told by counting, sooner than by the grammar."""
        return (
            line.count(self.delimiter) == self._delimiters
            and self.quote not in line
            and b"\r" not in line[:-2]
            and line[:1] not in ENDS
            and len(line) <= LONGEST_ROW
        )

    def with_doubled_quotes(self, row: bytes) -> bytes:
        """The same cells in the one way of writing quotes within quotes that every reader knows; without the row's end."""
        if self.escape == self.quote or self.escape not in row:
            return row.rstrip(ENDS)
        quoted = (self.quote + cell.replace(self.quote, self.quote * 2) + self.quote for cell in self.cells(row))
        return self.delimiter.join(quoted)


@dataclass(frozen=True, slots=True)
class Framed:
    """A text cut into rows; hides what it holds."""

    rows: Sequence[bytes]
    """Each with the number of its line as first cell, ended by LF."""
    lines: Sequence[int]
    """The lines on which they begin."""
    rejects: Sequence[tuple[int, str]]
    """Line and code of what is no row."""
    rest: bytes
    """What can be judged only with more text."""
    line: int
    """The line on which :attr:`rest` begins."""

    def __repr__(self) -> str:
        return f"<{len(self.lines)} rows>"


def frame(text: bytes, line: int, grammar: Grammar, *, final: bool) -> Framed:
    """Cut ``text``, which begins on ``line``, into rows; ``final`` when nothing follows."""
    text = text if not final or text.endswith((b"\r", b"\n")) else text + b"\n"
    rows: list[bytes] = []
    lines: list[int] = []
    rejects: list[tuple[int, str]] = []
    position = 0
    while position < len(text):
        plain = text[position : text.find(b"\n", position) + 1]
        if grammar.is_plain_row(plain):
            rows.append(b"%d%b%b\n" % (line, grammar.delimiter, plain.rstrip(ENDS)))
            lines.append(line)
            line, position = line + 1, position + len(plain)
            continue
        row = None if text[position] in ENDS else grammar.row.match(text, position, position + LONGEST_ROW + 2)
        if row is not None and row.end() - position <= LONGEST_ROW:
            code, end = "", row.end()
        else:
            code, end = _fault(text, position, grammar)
            if not final and code != "blank" and len(text) - position <= LONGEST_ROW + 2:
                break
        if end == 0 or (not final and end == len(text) and text.endswith(b"\r")):
            break  # the row's end has not come, or is CR and LF may follow
        taken = text[position:end]
        if not code:
            rows.append(b"%d%b%b\n" % (line, grammar.delimiter, grammar.with_doubled_quotes(taken)))
            lines.append(line)
        elif code != "blank":
            rejects.append((line, code))
        line += line_ends(taken) if grammar.quote in taken else 1  # only quotes hold further lines
        position = end
    return Framed(rows, lines, rejects, text[position:], line)


def _fault(text: bytes, position: int, grammar: Grammar) -> tuple[str, int]:
    """Why no row of the right width begins here, and where to go on; 0 when that has not come yet.

    After a broken quote that is the next line: its row may be sound, and which lines the quote should have held is unknowable.
    """
    newline = NEWLINE.search(text, position)
    if newline is None:
        return "", 0
    if newline.start() == position:
        return "blank", newline.end()
    if newline.end() - position > LONGEST_ROW:
        return "line-too-long", newline.end()
    row = grammar.any_row.match(text, position, position + LONGEST_ROW + 2)
    if row is not None and row.end() - position <= LONGEST_ROW:
        return "wrong-field-count", row.end()
    return "broken-quote", newline.end()
