"""``query``: read-only SQL over the published catalog, as a table, CSV, JSON or Parquet."""

from __future__ import annotations

import csv
import enum
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.render import print_rows
from slidekeeper.errors import Refused
from slidekeeper.ports.query import Answer, PublishedQuery

TABLE_ROWS = 100
"""Rows of a table on the screen, unless more are asked for."""


class Format(enum.StrEnum):
    """How an answer is written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("query")(query)


def query(
    ctx: typer.Context,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT, DESCRIBE, SUMMARIZE or EXPLAIN; SHOW TABLES lists the tables.")],
    form: Annotated[Format, typer.Option("--format", help="How to write the answer.")] = Format.TABLE,
    output: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows; a table has 100 unless told otherwise.")] = None,
) -> None:
    """Ask the published catalog in SQL; nothing can be changed, and nothing else can be read."""
    if form is Format.PARQUET and output is None:
        raise typer.BadParameter("Parquet is no text: give --output FILE")
    if form is Format.TABLE and output is not None:
        raise typer.BadParameter("a table is for the screen: give --format csv, json or parquet")
    from slidekeeper.bootstrap.querying import published_query

    with plain_errors():
        asked = published_query(ctx.obj.settings())
        if form is Format.TABLE:
            _print_table(asked, sql, limit or TABLE_ROWS)
        elif form is Format.PARQUET and output is not None:
            asked.save(sql, output, limit)
        else:
            with asked.ask(sql, limit) as answer, _stream(output) as stream:
                WRITERS[form](answer, stream)


def _print_table(asked: PublishedQuery, sql: str, limit: int) -> None:
    with asked.ask(sql, limit + 1) as answer:
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        print_rows(rows[:limit], {name: name for name in answer.columns}, "No rows.")
    if len(rows) > limit:
        Console(stderr=True).print(f"These are the first {limit} rows; --limit N shows more.", style="dim")


def _write_csv(answer: Answer, stream: TextIO) -> None:
    """RFC 4180 with the line ends of the system; lists and structures as JSON, nothing as an empty cell."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([_cell(value) for value in row] for row in answer.rows)


def _write_json(answer: Answer, stream: TextIO) -> None:
    """One array of objects, a line each."""
    rows = (json.dumps({name: _plain(value) for name, value in zip(answer.columns, row, strict=True)}) for row in answer.rows)
    stream.write("[")
    for number, row in enumerate(rows):
        stream.write(f"{',' if number else ''}\n{row}")
    stream.write("\n]\n")


WRITERS: dict[Format, Callable[[Answer, TextIO], None]] = {Format.CSV: _write_csv, Format.JSON: _write_json}


def _cell(value: Any) -> Any:
    plain = _plain(value)
    return json.dumps(plain) if isinstance(plain, (list, dict, bool)) else plain


def _plain(value: Any) -> Any:
    """A value in JSON's terms: numbers as numbers, times in ISO 8601, bytes in hexadecimal, what is no number as nothing."""
    plain: Any = value
    if isinstance(value, (float, Decimal)):
        plain = float(value) if math.isfinite(value) else None
    elif isinstance(value, (list, tuple)):
        plain = [_plain(each) for each in value]
    elif isinstance(value, dict):
        plain = {str(key): _plain(each) for key, each in value.items()}
    elif isinstance(value, (date, time)):
        plain = value.isoformat()
    elif isinstance(value, bytes):
        plain = value.hex()
    elif not (value is None or isinstance(value, (bool, int, str))):
        plain = str(value)
    return plain


@contextmanager
def _stream(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears whole or not at all."""
    if output is None:
        yield sys.stdout
        return
    aside = output.absolute().with_name(f".{output.name}.part")
    try:
        with aside.open("w", encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(output)
    except OSError as error:
        raise Refused("output-failed", os.strerror(error.errno or 0), "Name a file that can be written") from None
    finally:
        aside.unlink(missing_ok=True)
