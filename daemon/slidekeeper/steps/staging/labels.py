"""The label files of a staging: the cohort's rows in two forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from blake3 import blake3

from slidekeeper.model.manifest import LABELS, LabelFile
from slidekeeper.ports.cohorts import Cohorts


def label_files(cohorts: Cohorts, rows: Path) -> tuple[Mapping[str, bytes], tuple[LabelFile, ...]]:
    """Their bytes by name, and what the manifest says of them."""
    labels = dict(zip(LABELS, cohorts.labels(rows), strict=True))
    told = (LabelFile(target=name, size=len(data), digest=f"blake3:{blake3(data).hexdigest()}") for name, data in labels.items())
    return labels, tuple(told)
