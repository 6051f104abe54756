"""Reports as CSV files below a restricted folder, written without holding up the event loop."""

from __future__ import annotations

import csv
import errno
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiofiles
import aiofiles.os

from slidekeeper.errors import Unavailable
from slidekeeper.model.concealed import Concealed

PORTION = 1000
"""Rows that are formatted between two writes."""


@dataclass(frozen=True, slots=True)
class CsvReports:
    """Implements :class:`slidekeeper.ports.reports.Reports`."""

    root: Path

    async def write(
        self, folder: Concealed[bytes], name: str, header: Sequence[str], rows: Iterable[Sequence[str | int | Concealed[str]]]
    ) -> None:
        """Write ``<root>/<folder>/<name>.csv``."""
        place = self.root / os.fsdecode(folder.reveal())
        try:
            await aiofiles.os.makedirs(place, mode=0o700, exist_ok=True)
            aside = place / f".{name}.csv.part"
            async with aiofiles.open(aside, "w", encoding="utf-8", errors="surrogateescape", opener=_restricted, newline="") as file:
                for portion in _portions([header], rows):
                    await file.write(portion)
                await file.flush()
                await aiofiles.os.wrap(os.fsync)(file.fileno())
            await aiofiles.os.replace(aside, place / f"{name}.csv")
        except OSError as trouble:
            name_of_error = errno.errorcode.get(trouble.errno or 0, "OSError")
            raise Unavailable(
                "records-reports", "reports", name_of_error, "Make [records] reports writable; work goes on by itself"
            ) from None


def _restricted(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _portions(header: Iterable[Sequence[str]], rows: Iterable[Sequence[str | int | Concealed[str]]]) -> Iterable[str]:
    """The text of header and rows, a thousand lines at a time."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows(header)
    for number, row in enumerate(rows, 1):
        writer.writerow([cell.reveal() if isinstance(cell, Concealed) else cell for cell in row])
        if number % PORTION == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()
