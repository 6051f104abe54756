"""Synthetic patients with names, social security numbers, passports and addresses go through, and none of that comes out."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from shared_data import shared
from slidekeeper.settings.contracts import contract_templates, load_contract
from steps.records.records_desk import records_desk
from system.site_under_test import encodings
from writers.records import COLUMNS

SHORTEST = 5
"""Shorter values (a house number, a suffix) are words and numbers of everyday."""


def table(name: str) -> list[dict[str, str]]:
    """One of Synthea's tables."""
    with shared("records", "synthea", f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def german(iso: str) -> str:
    """A day as the contracts' hospital writes it."""
    return date.fromisoformat(iso[:10]).strftime("%d.%m.%Y")


def conditions() -> Mapping[str, list[dict[str, str]]]:
    """Conditions by patient."""
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in table("conditions"):
        found[row["PATIENT"]].append(row)
    return found


def exports(folder: Path) -> Iterator[str]:
    """Write hospital-style exports of every patient, one slide each; yields what must not come out."""
    folder.mkdir()
    told = conditions()
    rows: dict[str, list[dict[str, str]]] = {"imagery": [], "patients": [], "diagnoses": []}
    for number, person in enumerate(table("patients")):
        mrn, case = f"{10_000_000 + 7919 * number:08d}", f"S26-{100_000 + 31 * number}"
        identity = {"Image File": f"{case};A;1.svs", "Accession": case, "MRN": mrn}
        first = told[person["Id"]][0] if told[person["Id"]] else {"START": "2020-05-05", "DESCRIPTION": ""}
        rows["imagery"].append(
            identity | {"Stain": "HE", "Scanner": "Aperio AT2", "Scan Date": "05.03.2026 10:00", "Operator": person["LAST"]}
        )
        rows["patients"].append(
            identity
            | {
                "Last Name": person["LAST"],
                "First Name": person["FIRST"],
                "Date of Birth": german(person["BIRTHDATE"]),
                "Sex": person["GENDER"],
                "Street": person["ADDRESS"],
                "City": person["CITY"],
                "ZIP": person["ZIP"],
                "Insurance Number": person["SSN"],
                "Collection Date": german(first["START"]),
                "Comment": f"{person['DRIVERS']} {person['PASSPORT']} {person['BIRTHPLACE']}",
            }
        )
        rows["diagnoses"].append(
            identity
            | {
                "Diagnosis Date": german(first["START"]),
                "Diagnosis Code": "8140/3",
                "Diagnosis Text": f"{first['DESCRIPTION']} in {person['FIRST']} {person['LAST']}",
            }
        )
        yield from (person[key] for key in ("Id", "FIRST", "LAST", "MAIDEN", "SSN", "DRIVERS", "PASSPORT", "ADDRESS", "BIRTHPLACE"))
        yield from (mrn, case, person["BIRTHDATE"], german(person["BIRTHDATE"]))
    for place, (source, lines) in enumerate(rows.items(), 1):
        with (folder / f"CSV{place}_{source}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS[source], delimiter=";", restval="")
            writer.writeheader()
            writer.writerows(lines)


async def test_exports_of_synthetic_patients_go_through_with_no_identifier_left(tmp_path: Path) -> None:
    async with records_desk(tmp_path) as desk:
        await desk.open_batch()
        identifiers = {value for value in exports(tmp_path / "records" / "monday") if len(value) >= SHORTEST}
        event = await desk.load()
        await desk.align()
        await desk.publish()
        assert [source.rows for source in event.facts.sources] == [27, 27, 27]
        patterns = {pattern for identifier in identifiers for pattern in encodings(identifier)}
        outside = [path for name in ("bucket", "published") for path in (tmp_path / name).rglob("*") if path.is_file()]
        assert len(outside) > 8
        for path in [*outside, tmp_path / "journal.sqlite", *tmp_path.glob("catalog.duckdb*")]:
            content = path.read_bytes() + (str(pl.read_parquet(path).rows()).encode() if path.suffix == ".parquet" else b"")
            assert not [pattern for pattern in patterns if pattern in content], path.name


@pytest.mark.parametrize("source", ["imagery", "patients", "diagnoses"])
def test_the_writers_header_is_the_contracts(source: str, tmp_path: Path) -> None:
    template = tmp_path / f"{source}.toml"
    template.write_text(contract_templates()[f"{source}.toml"].read_text())
    assert COLUMNS[source] == [column.name for column in load_contract(template).columns]
