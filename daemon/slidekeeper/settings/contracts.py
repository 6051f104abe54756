"""Loads the contracts of the records: one TOML file for each source, checked alone and together before any row is read."""

from __future__ import annotations

import errno
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import ComputeError
from pydantic import BaseModel, ValidationError

from slidekeeper.errors import SettingsError
from slidekeeper.model.contract import Action, Column, Contract, Dialect, Profile

REMEDY = "Every key is explained in docs/records.md; templates lie in config/records"
TABLE = "column"
"""Name in TOML of the tables that become :attr:`Contract.columns`."""


def load_contracts(folder: Path) -> Mapping[str, Contract]:
    """Every ``*.toml`` of a folder, by source.

    Raises:
        SettingsError: ``detail`` has one line for each problem, with file and key; also when the folder cannot be read, holds no
            contract, or two contracts do not go together.
    """
    files = _contract_files(folder)
    contracts: dict[Path, Contract] = {}
    problems: list[str] = []
    for file in files:
        try:
            contracts[file] = load_contract(file)
        except SettingsError as error:
            problems.append(error.detail)
    problems.extend(f"{folder}: {problem}" for problem in _conflicts(contracts))
    if problems:
        raise SettingsError("wrong-contracts", "\n".join(problems), REMEDY)
    return {contract.source: contract for contract in contracts.values()}


def load_contract(file: Path) -> Contract:
    """One contract.

    Raises:
        SettingsError: ``detail`` has one line for each problem, with file and key.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(file, [f"cannot be read ({errno.errorcode.get(error.errno or 0, 'unknown error')})"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(file, [f"no TOML: {error}"]) from None
    if "columns" in values:
        raise _wrong(file, [f"columns: unknown key; columns are tables [[{TABLE}]]"])
    try:
        contract = Contract.model_validate({("columns" if key == TABLE else key): value for key, value in values.items()})
    except ValidationError as invalid:
        raise _wrong(file, [line for error in invalid.errors() for line in _lines(error, values)]) from None
    unknown = [f"{TABLE} {column.name}: regex: {reason}" for column in contract.columns for reason in _foreign_regex(column)]
    if unknown:
        raise _wrong(file, unknown)
    return contract


def contract_templates(profile: Profile = Profile.SAFE_HARBOR) -> Mapping[str, Traversable]:
    """The templates that come with Slidekeeper, by file name; those of Safe Harbor are what a new site begins with."""
    root = resources.files("slidekeeper.settings") / "records"
    folder = root if profile is Profile.SAFE_HARBOR else root / profile.value
    return {each.name: each for each in sorted(folder.iterdir(), key=lambda each: each.name) if each.name.endswith(".toml")}


def _contract_files(folder: Path) -> list[Path]:
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise _wrong(folder, [f"cannot be read ({errno.errorcode.get(error.errno or 0, 'unknown error')})"]) from None
    if not files:
        raise _wrong(folder, ["holds no contract (*.toml)"])
    return files


def _wrong(place: Path, problems: Sequence[str]) -> SettingsError:
    return SettingsError("wrong-contract", "\n".join(f"{place}: {problem}" for problem in problems), REMEDY)


def _lines(error: Any, values: Mapping[str, Any]) -> Iterator[str]:
    """One line for each problem of a pydantic error: the key as the file has it, what is wrong, what is allowed."""
    location: tuple[str | int, ...] = error["loc"]
    key = _key(location, values)
    match error["type"]:
        case "extra_forbidden":
            yield f"{key}: unknown key; known here: {', '.join(_known(location))}"
        case "missing":
            yield f"{key}: is missing"
        case "value_error":
            # Rules of a column name it themselves; those of the contract concern no key alone.
            yield from str(error["ctx"]["error"]).splitlines()
        case _:
            yield f"{key}: {error['msg']}"


def _key(location: tuple[str | int, ...], values: Mapping[str, Any]) -> str:
    """``column MRN: action`` or ``dialect.quote``; a column without a name by its place, counted from 1."""
    match location:
        case ("columns", int(index), *keys):
            tables = values[TABLE]
            name = tables[index].get("name") if isinstance(tables[index], dict) else None
            return ": ".join([f"{TABLE} {name if isinstance(name, str) else index + 1}", *(str(key) for key in keys)])
        case ("columns", *_):
            return f"[[{TABLE}]]"
        case _:
            return ".".join(str(key) for key in location)


def _known(location: tuple[str | int, ...]) -> list[str]:
    """The keys known where ``location`` points."""
    models: Mapping[str, type[BaseModel]] = {"columns": Column, "dialect": Dialect}
    model = models.get(str(location[0]), Contract) if len(location) > 1 else Contract
    return sorted(TABLE if name == "columns" else name for name in model.model_fields)


def _foreign_regex(column: Column) -> Iterator[str]:
    """The rules run in polars, whose regular expressions have neither look-around nor back-references."""
    try:
        pl.Series([""]).str.contains(column.regex, literal=False)
    except ComputeError:
        yield "look-around, back-references and possessive repeats are not available"


def _conflicts(contracts: Mapping[Path, Contract]) -> Iterator[str]:
    """Why contracts do not go together."""
    for (one_file, one), (other_file, other) in combinations(contracts.items(), 2):
        if one.source == other.source:
            yield f"{one_file.name} and {other_file.name} have one source, {one.source}"
        for pattern in sorted({each.casefold() for each in one.files} & {each.casefold() for each in other.files}):
            yield f"{one_file.name} and {other_file.name} have one file pattern, {pattern}"
    shifting, keeping = (_first_with(contracts, action) for action in (Action.SHIFT, Action.YEAR))
    if shifting and keeping:
        yield (
            f"{shifting[0].name} shifts {shifting[1]} while {keeping[0].name} keeps the year of {keeping[1]}: "
            "years beside shifted dates of the same patient would reveal the offset"
        )


def _first_with(contracts: Mapping[Path, Contract], action: Action) -> tuple[Path, str] | None:
    """File and name of the first column with this action; None when there is none."""
    columns = ((file, column) for file, contract in contracts.items() for column in contract.columns)
    return next(((file, column.name) for file, column in columns if column.action is action), None)
