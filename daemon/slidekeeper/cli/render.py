"""How answers look: JSON for programs, tables for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
THOUSAND = 1000.0


def print_json(answer: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(answer, indent=2, default=_wire_form))


def _wire_form(value: Any) -> str:
    """What JSON lacks, as the daemon's API writes it."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], empty: str) -> None:
    """Print rows as a table with ``columns`` (key to heading), or say what an empty table means."""
    console = Console()
    if not rows:
        console.print(empty, style="dim")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in columns.values():
        table.add_column(Text(heading), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(key, row.get(key))) for key in columns))
    console.print(table)


def cell(key: str, value: Any) -> str:
    """A value as people read it: sizes with units, times without fractions."""
    match value:
        case None:
            return "-"
        case int() if key in {"size", "bytes", "free", "total"}:
            return size(value)
        case float():
            return f"{value:.3g}" if key in {"mpp", "magnification"} else f"{value:.2f}"
        case str() if key in {"time", "arrived", "updated"}:
            return value[:19].replace("T", " ")
        case _:
            return str(value)


def readable(name: str | bytes) -> str:
    """A file's name for people: what is no text, or would move the cursor, is told by its code (``\\n``, ``\\xff``)."""
    text = name.decode(errors="backslashreplace") if isinstance(name, bytes) else name
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def size(count: float) -> str:
    """Bytes with a unit: ``1.9 MB``."""
    for unit in UNITS:
        if count < THOUSAND or unit == UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= THOUSAND
    raise AssertionError("unreachable")
