"""Finds what lies on tiers and in training roots and belongs to no staging and no run: nobody may train on it by accident."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slidekeeper.ports.inventory import Inventory
from slidekeeper.ports.journal import RunRow, StagingRow
from slidekeeper.workflow.states import ON_TIER, RunState, StagingState

OURS = b".slidekeeper"
LEFTOVERS = b"leftovers"
MANIFEST = b"manifest.json"
BESIDE_THE_IMAGES = frozenset({MANIFEST, b"labels.parquet", b"labels.csv"})


@dataclass(frozen=True, slots=True)
class Stray:
    """Something that belongs to nobody."""

    root: Path
    path: bytes
    """Relative to the root."""
    files: int
    size: int
    why: str
    """``no-staging``, ``no-manifest``, ``not-in-manifest``, ``no-run``, ``cleaned-run``, ``leftovers``."""


def audit_tier(inventory: Inventory, root: Path, stagings: Mapping[str, StagingRow]) -> Iterator[Stray]:
    """Everything on a tier but active stagings; in complete ones, everything but what their manifests list.

    Args:
        inventory: what looks.
        root: the tier's folder.
        stagings: by name, those of this tier in any state; the newest where several have a name.
    """
    for thing in inventory.things(root):
        staging = stagings.get(thing.name.decode(errors="replace"))
        if staging is None or staging.state not in ON_TIER or not thing.is_folder:
            yield from _whole(inventory, root, "leftovers" if thing.name == OURS else "no-staging", thing.name)
        elif staging.state is StagingState.READY:
            yield from _beside_manifest(inventory, root, thing.name)


def audit_root(inventory: Inventory, root: Path, runs: Mapping[str, RunRow]) -> Iterator[Stray]:
    """Everything in a training root but the folders of runs that are not cleaned yet; ``runs`` by folder, the newest of each."""
    for project in inventory.things(root):
        if project.name == OURS or not project.is_folder:
            yield from _leftovers(inventory, root) if project.name == OURS else _whole(inventory, root, "no-run", project.name)
            continue
        for thing in inventory.things(root, project.name):
            run = _run_of(runs, root, project.name, thing.name) if thing.is_folder else None
            if run is None or run.state is RunState.CLEANED:
                yield from _whole(inventory, root, "cleaned-run" if run else "no-run", project.name, thing.name)


def _leftovers(inventory: Inventory, root: Path) -> Iterator[Stray]:
    for thing in inventory.things(root, OURS, LEFTOVERS):
        yield from _whole(inventory, root, "leftovers", OURS, LEFTOVERS, thing.name)


def _whole(inventory: Inventory, root: Path, why: str, *below: bytes) -> Iterator[Stray]:
    """One stray for all that is in a folder; empty folders are nothing to train on."""
    weight = inventory.weigh(root, *below)
    if weight.files:
        yield Stray(root, b"/".join(below), weight.files, weight.size, why)


def _beside_manifest(inventory: Inventory, root: Path, name: bytes) -> Iterator[Stray]:
    manifest = inventory.read(root, name, MANIFEST)
    targets = _targets(manifest) if manifest else None
    if targets is None:
        yield from _whole(inventory, root, "no-manifest", name)
        return
    for path, size in inventory.files(root, name):
        if path not in targets and path not in BESIDE_THE_IMAGES and not path.startswith(OURS + b"/"):
            yield Stray(root, name + b"/" + path, 1, size, "not-in-manifest")


def _targets(manifest: bytes) -> Collection[bytes] | None:
    """The paths that a manifest lists, or None where it is none."""
    try:
        files: Any = json.loads(manifest)["files"]
        return {str(file["target"]).encode() for file in files}
    except (ValueError, KeyError, TypeError):
        return None


def _run_of(runs: Mapping[str, RunRow], root: Path, project: bytes, name: bytes) -> RunRow | None:
    try:
        return runs.get(str(root / project.decode() / name.decode()))
    except UnicodeDecodeError:
        return None
