"""The header decides which column is which, by exact names; what it says is told by position and by the contract's own words."""

from __future__ import annotations

from collections.abc import Sequence

from slidekeeper.errors import Permanent
from slidekeeper.model.contract import Contract


def check_header(names: Sequence[str], contract: Contract) -> None:
    """Refuse a header that does not have exactly the contract's columns, in whichever order.

    Raises:
        Permanent: ``duplicate-column``, ``unknown-column`` or ``missing-column``.
    """
    known = {column.name for column in contract.columns}
    missing = [column.name for column in contract.columns if column.name not in names]
    again = [place for place, name in enumerate(names, 1) if name in names[: place - 1]]
    if again:
        raise Permanent("duplicate-column", f"{_columns(again)} there before", "Rename or remove it in the export")
    unknown = [place for place, name in enumerate(names, 1) if name not in known]
    if len(names) == 1 and unknown and len(known) > 1:
        raise Permanent(
            "unknown-column",
            "the header is a single column and not in the contract",
            f"The contract's delimiter is {contract.dialect.delimiter!r}: export with it, or correct the contract",
        )
    if unknown:
        detail = "; ".join([f"{_columns(unknown)} not in the contract", *_near(names, missing), *_absent(missing)])
        raise Permanent("unknown-column", detail, "Remove it from the export, or add it to the contract with what becomes of it")
    if missing:
        raise Permanent("missing-column", _absent(missing)[0], "Export it, or remove it from the contract")


def _columns(places: Sequence[int]) -> str:
    """``column 7 is`` or ``columns 7, 9 are``."""
    listed = ", ".join(map(str, places))
    return f"column {listed} is" if len(places) == 1 else f"columns {listed} are"


def _absent(missing: Sequence[str]) -> list[str]:
    return [f"not there: {', '.join(missing)}"] if missing else []


def _near(names: Sequence[str], missing: Sequence[str]) -> list[str]:
    """Columns that differ from one of the contract's only in case or spaces."""
    wanted = {_plain(name): name for name in missing}
    return [
        f"column {place} is {wanted[_plain(name)]} but for case or spaces"
        for place, name in enumerate(names, 1)
        if name not in missing and _plain(name) in wanted
    ]


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()
