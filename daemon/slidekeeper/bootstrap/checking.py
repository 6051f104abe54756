"""Wires ``records check``: the contract by file or by source, and the reader of CSV files. Needs no daemon, and no site for a file."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from slidekeeper.adapters.tables.duckdb_csv import DuckdbCsvReader
from slidekeeper.errors import Refused
from slidekeeper.model.contract import Contract
from slidekeeper.settings.contracts import load_contract, load_contracts
from slidekeeper.settings.loader import Settings
from slidekeeper.steps.records.checking import CheckReport, check_file


def check_records(file: Path, contract: str, settings: Callable[[], Settings]) -> CheckReport:
    """Check a CSV file.

    Args:
        file: the CSV file.
        contract: a contract's TOML file, or the source of a contract in the site's contracts folder.
        settings: loads the site's settings; called only for a source.

    Raises:
        Refused: the contract is wrong or unknown, or the file cannot be opened; its name is not told.
    """
    rules = find_contract(contract, settings)
    try:
        with file.open("rb") as stream:
            return check_file(stream, rules, DuckdbCsvReader())
    except OSError as error:
        reason = errno.errorcode.get(error.errno or 0, "unknown error")
        raise Refused("unreadable-file", f"the file cannot be read ({reason})", "Check its path and permissions") from None


def find_contract(name: str, settings: Callable[[], Settings]) -> Contract:
    """The contract in a TOML file, or that of a source of the site.

    Raises:
        Refused: it is wrong, or there is none.
    """
    if name.endswith(".toml"):
        return load_contract(Path(name))
    contracts = load_contracts(settings().records.contracts)
    if name not in contracts:
        raise Refused("unknown-contract", f"no contract of source {name}", f"Known here: {', '.join(sorted(contracts))}")
    return contracts[name]
