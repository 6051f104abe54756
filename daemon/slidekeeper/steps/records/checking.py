"""``records check``: everything that is wrong with a file, told to the data team before anything is sent. Nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import polars as pl

from slidekeeper.errors import Permanent
from slidekeeper.model.contract import Contract
from slidekeeper.ports.tables import LINE, TableReader
from slidekeeper.steps.records.rules import REJECTS, check_rules


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the whole file is refused; holds no word of it."""

    reason: str
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a contract says to a file."""

    source: str
    contract: str
    """Digest of the contract."""
    contract_version: int
    rows: int
    """Rows in the file, the rejected ones included; 0 when it is refused."""
    rejects: pl.DataFrame
    """``line`` (Int64), ``column`` (empty where a whole row is concerned), ``code``; by line."""
    refusal: Refusal | None = None

    @property
    def clean(self) -> bool:
        """Whether everything comes through."""
        return self.refusal is None and self.rejects.is_empty()

    @property
    def rejected(self) -> int:
        """Rows that do not come through."""
        return self.rejects[LINE].n_unique()

    @property
    def codes(self) -> Mapping[str, int]:
        """How often each code occurs, by code."""
        return dict(sorted(self.rejects["code"].value_counts().iter_rows()))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        refusal = self.refusal and {"reason": self.refusal.reason, "detail": self.refusal.detail, "remedy": self.refusal.remedy}
        return {
            "source": self.source,
            "contract": self.contract,
            "contract_version": self.contract_version,
            "clean": self.clean,
            "refusal": refusal,
            "rows": self.rows,
            "rejected": self.rejected,
            "codes": dict(self.codes),
            "rejects": self.rejects.to_dicts(),
        }


def check_file(stream: BinaryIO, contract: Contract, reader: TableReader) -> CheckReport:
    """Read a file by its contract and check every row; never raises for what stands in the file."""
    try:
        table = reader.read(stream, contract)
    except Permanent as error:
        refusal = Refusal(error.reason, error.detail, error.remedy)
        return CheckReport(contract.source, contract.digest, contract.version, 0, pl.DataFrame(schema=REJECTS), refusal)
    rows = table.rows.reveal()
    _, broken_rules = check_rules(rows, contract)
    rejects = pl.concat([table.rejects, broken_rules]).sort(LINE, maintain_order=True)
    count = rows.height + table.rejects[LINE].n_unique()
    return CheckReport(contract.source, contract.digest, contract.version, count, rejects)
