"""What a writer hid in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

FAMILY = ("Abernathy", "Brzezinski", "Castellanos", "Drummond-Hay", "Eriksdotter", "Featherstone", "Gulbrandsen", "Hockenberry")
GIVEN = ("Aurelia", "Bartholomew", "Clementine", "Desdemona", "Ebenezer", "Felicitas", "Gwendolyn", "Hildegard")


@dataclass(frozen=True)
class Planted:
    """A written slide and the identifiers in it, its file name's included."""

    path: Path
    barcode: str
    identifiers: tuple[str, ...]
    levels: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Patient:
    """Who the slide claims to be of, and who scanned it: made up, recognizable, different for every seed."""

    name: str
    born: str
    record: str
    operator: str
    scanned: str
    time: str
    scanner: str

    @classmethod
    def drawn(cls, seed: int) -> Patient:
        """The patient of a seed."""
        random = Random(seed)
        name = f"{random.choice(FAMILY)}^{random.choice(GIVEN)} {seed:05d}"
        born = f"{random.randint(1, 12):02d}/{random.randint(1, 28):02d}/19{random.randint(20, 99)}"
        scanned = f"{random.randint(1, 12):02d}/{random.randint(1, 28):02d}/26 s{seed}"
        time = f"{random.randint(0, 23):02d}:{random.randint(0, 59):02d}:{random.randint(0, 59):02d}.{seed:06d}"
        return cls(
            name,
            born,
            f"MRN-{random.randint(10**7, 10**8)}-{seed}",
            f"op.{random.choice(GIVEN).lower()}{seed}",
            scanned,
            time,
            f"SS7{random.randint(1000, 9999)}X{seed}",
        )

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Every text that must not come out."""
        return (self.name, self.born, self.record, self.operator, self.scanned, self.time, self.scanner)
