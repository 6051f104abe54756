"""Reading a hospital's CSV file by its contract, and nothing but its contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol

import polars as pl

from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Contract

LINE = "line"
"""Name of the column that holds the number of the line in the file on which a row begins, counted from 1."""


@dataclass(frozen=True, slots=True)
class RawTable:
    """What stands in a file: identifiers of patients, to be held in memory only."""

    rows: Concealed[pl.DataFrame]
    """:data:`LINE` (Int64), then one String column for each of the contract's, under its header's name, in the contract's order, every cell
    exactly as it stands in the file; an empty cell is null."""
    rejects: pl.DataFrame
    """Rows that cannot be read: ``line`` (Int64), ``column`` (a name of the contract, or empty), ``code``. No cell of any row."""


class TableReader(Protocol):
    """Stateless and picklable; runs in a worker."""

    def read(self, stream: BinaryIO, contract: Contract) -> RawTable:
        """Read a whole file, from its first byte.

        Raises:
            Permanent: the file is not what the contract says: ``unknown-column``, ``missing-column``, ``wrong-encoding``, ``empty-file`` …;
                the detail tells positions and names of the contract, never what stands in the file.
        """
        ...
