"""Writes the three CSV files of a batch in the style of a hospital's export, with a patient of its own behind every case.

Seeded: the same seed writes the same patients. Every identifier that must not come out is listed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from random import Random

LAST_NAMES = ("Zyzzwycz", "Quillfeather", "Ostrowmirska", "Fjällgren", "Vandermeulenbroek", "O'Shaughnessyx", "Ñandubayo", "Thistlewhite")
FIRST_NAMES = ("Perpetua", "Ignatius", "Wilhelmineke", "Björnstjerne", "Anastasiia", "Cornelisz", "Eulalia", "Theophrast")
STREETS = ("Gänseblümchenweg", "Larkspurhollow Road", "Rua das Andorinhas")
CITIES = ("Obermuffelbach", "Wexcombe-under-Heath", "Santarelos")
COLUMNS: Mapping[str, Sequence[str]] = {
    "imagery": [
        "Image File",
        "Accession",
        "MRN",
        "Block",
        "Stain",
        "Scanner",
        "Scanner Serial",
        "Objective",
        "Microns per Pixel",
        "Focus Score",
        "Scan Date",
        "Operator",
        "Comment",
    ],
    "patients": [
        "Image File",
        "Accession",
        "MRN",
        "Last Name",
        "First Name",
        "Date of Birth",
        "Sex",
        "Age",
        "Street",
        "City",
        "ZIP",
        "Phone",
        "E-Mail",
        "Insurance Number",
        "Referring Physician",
        "Collection Date",
        "Received Date",
        "Specimen",
        "Organ",
        "Comment",
    ],
    "diagnoses": [
        "Image File",
        "Accession",
        "MRN",
        "Diagnosis Date",
        "Diagnosis Code",
        "Topography",
        "Gleason",
        "TNM",
        "Margin",
        "Stage",
        "Tumor Percent",
        "PSA",
        "Metastasis",
        "Vital Status",
        "Follow-up Days",
        "Last Contact",
        "Diagnosis Text",
        "Pathologist",
        "Comment",
    ],
}
"""Headers of the three files, as the templates of contracts have them."""
STAINS, SCANNERS = ("HE", "PAS", "Ki-67"), ("Aperio AT2", "Aperio GT 450")
GLEASONS = ("Gleason 3+4=7", "Gleason 4+3=7 (ISUP 3)", "Gleason score 3+3=6", "")


@dataclass(frozen=True, slots=True)
class Person:
    """One made-up person."""

    last: str
    first: str
    mrn: str
    birth: date
    street: str
    city: str
    zip: str
    phone: str
    email: str
    insurance: str

    @property
    def identifiers(self) -> set[str]:
        """What must not come out."""
        born = {self.birth.strftime("%d.%m.%Y"), self.birth.isoformat()}
        return {self.last, self.first, self.mrn, self.street, self.city, self.phone, self.email, self.insurance} | born


@dataclass(slots=True)
class PlantedRecords:
    """What was written."""

    files: Sequence[Path]
    patients: Mapping[str, Person]
    """By image file name."""
    identifiers: set[str] = field(default_factory=set)


def patient(random: Random) -> Person:
    """A person whose names occur nowhere else."""
    number = random.randrange(100, 999)
    last, first = f"{random.choice(LAST_NAMES)}{number}", f"{random.choice(FIRST_NAMES)}{number}"
    return Person(
        last=last,
        first=first,
        mrn=f"00{random.randrange(10**5, 10**6)}",
        birth=date(1931, 1, 1) + timedelta(days=random.randrange(70 * 365)),
        street=f"{random.choice(STREETS)} {number}",
        city=random.choice(CITIES),
        zip=f"{random.randrange(10000, 99999)}",
        phone=f"0{random.randrange(100, 999)}/55{random.randrange(10000, 99999)}",
        email=f"{first.lower()}@example.org",
        insurance=f"K{random.randrange(10**8, 10**9)}",
    )


def write_records(folder: Path, slides: Iterable[str], *, seed: int = 1, mistakes: bool = False) -> PlantedRecords:
    """Write ``CSV1_imagery.csv``, ``CSV2_patients.csv`` and ``CSV3_diagnoses.csv`` for slides of these image file names.

    With ``mistakes`` the files also hold rows that must not come through: an unreal date, a shortened number, a slide nobody scanned,
    a row twice.
    """
    random = Random(seed)
    names = list(slides)
    people = {name: patient(random) for name in names}
    cases = {name: f"S26-{random.randrange(10**5, 10**6)}" for name in names}
    made = [
        _write(folder / "CSV1_imagery.csv", [_imagery(name, cases[name], people[name], random) for name in names]),
        _write(folder / "CSV2_patients.csv", [_person(name, cases[name], people[name], random) for name in names]),
        _write(folder / "CSV3_diagnoses.csv", [_diagnosis(name, cases[name], people[name], random) for name in names]),
    ]
    identifiers = {identifier for person in people.values() for identifier in person.identifiers} | set(cases.values())
    if mistakes:
        identifiers |= _add_mistakes(made, names, random)
    return PlantedRecords(made, people, identifiers)


def _imagery(name: str, case: str, person: Person, random: Random) -> dict[str, str]:
    scanned = f"{random.randrange(1, 28):02d}.{random.randrange(1, 10):02d}.2026 {random.randrange(8, 18):02d}:15"
    return {
        "Image File": name,
        "Accession": case,
        "MRN": person.mrn,
        "Block": random.choice(("A1", "A2", "B1")),
        "Stain": random.choice(STAINS),
        "Scanner": random.choice(SCANNERS),
        "Scanner Serial": f"SS{random.randrange(10**5, 10**6)}",
        "Objective": "40",
        "Microns per Pixel": "0,2527",
        "Focus Score": f"0,{random.randrange(50, 99)}",
        "Scan Date": scanned,
        "Operator": f"{person.last} senior",
        "Comment": f"label reads {person.last}",
    }


def _person(name: str, case: str, person: Person, random: Random) -> dict[str, str]:
    collected = date(2026, 1, 1) + timedelta(days=random.randrange(200))
    return {
        "Image File": name,
        "Accession": case,
        "MRN": person.mrn,
        "Last Name": person.last,
        "First Name": person.first,
        "Date of Birth": person.birth.strftime("%d.%m.%Y"),
        "Sex": random.choice("FM"),
        "Age": str((collected - person.birth).days // 365),
        "Street": person.street,
        "City": person.city,
        "ZIP": person.zip,
        "Phone": person.phone,
        "E-Mail": person.email,
        "Insurance Number": person.insurance,
        "Referring Physician": f"Dr. {random.choice(LAST_NAMES)}",
        "Collection Date": collected.strftime("%d.%m.%Y"),
        "Received Date": (collected + timedelta(days=random.randrange(3))).strftime("%d.%m.%Y"),
        "Specimen": "biopsy",
        "Organ": "prostate",
        "Comment": f"Mrs {person.last} asks to be called",
    }


def _diagnosis(name: str, case: str, person: Person, random: Random) -> dict[str, str]:
    found = date(2026, 3, 1) + timedelta(days=random.randrange(100))
    return {
        "Image File": name,
        "Accession": case,
        "MRN": person.mrn,
        "Diagnosis Date": found.strftime("%d.%m.%Y"),
        "Diagnosis Code": "8140/3",
        "Topography": "C61.9",
        "Gleason": random.choice(GLEASONS),
        "TNM": "pT2c pN0 cM0",
        "Margin": "R0",
        "Stage": "IIB",
        "Tumor Percent": str(random.randrange(1, 100)),
        "PSA": f"{random.randrange(1, 40)},{random.randrange(10)}",
        "Metastasis": "no",
        "Vital Status": "alive",
        "Follow-up Days": str(random.randrange(1, 400)),
        "Last Contact": (found + timedelta(days=40)).strftime("%d.%m.%Y"),
        "Diagnosis Text": f"{person.first} {person.last}: acinar adenocarcinoma",
        "Pathologist": f"Dr. {random.choice(LAST_NAMES)}",
        "Comment": "",
    }


def _write(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _add_mistakes(files: Sequence[Path], names: Sequence[str], random: Random) -> set[str]:
    """Rows that are wrong on purpose; returns who is in them."""
    stranger = patient(random)
    imagery, patients, diagnoses = files
    case = f"S26-{random.randrange(10**5, 10**6)}"
    _append(imagery, _imagery(f"{case};Z;9.svs", case, stranger, random))
    wrong_date = _person(names[0], case, stranger, random) | {"Collection Date": "31.02.2026"}
    shortened = _person(names[-1], case, stranger, random) | {"MRN": str(int(stranger.mrn))}
    _append(patients, wrong_date, shortened)
    _append(diagnoses, _diagnosis(names[0], case, stranger, random) | {"Diagnosis Code": f"see letter of {stranger.last}"})
    with diagnoses.open("a", encoding="utf-8") as file:
        file.write("one;cell;too;few\r\n")
    return {*stranger.identifiers, case}


def _append(path: Path, *rows: Mapping[str, str]) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, list(rows[0]), delimiter=";").writerows(rows)
