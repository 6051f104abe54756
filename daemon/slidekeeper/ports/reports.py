"""Reports for the hospital's data team: restricted, for they say what is wrong in files that identify patients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from slidekeeper.model.concealed import Concealed


class Reports(Protocol):
    """One folder a batch of records, one file a report; a later report of the same name replaces the earlier one."""

    async def write(
        self, folder: Concealed[bytes], name: str, header: Sequence[str], rows: Iterable[Sequence[str | int | Concealed[str]]]
    ) -> None:
        """Write a report atomically, mode 0600.

        Raises:
            Unavailable: ``records-reports``: the folder cannot be written now.
        """
        ...
