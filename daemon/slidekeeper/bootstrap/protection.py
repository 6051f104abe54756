"""Wires protection: the version store in the bucket, where runs come from, and the step that makes a run a version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.provenance.posix import PosixProvenance
from slidekeeper.adapters.snapshots.posix import PosixSnapshots
from slidekeeper.engine.lane import LaneSpec
from slidekeeper.ports.journal import Journal
from slidekeeper.settings.loader import Settings
from slidekeeper.steps.snapshot.step import ProtectStep

CACHE = "snapshots.sqlite"


@dataclass(frozen=True, slots=True)
class Protection:
    """What protects runs. The daemon calls ``snapshots.sweep()`` at its start, in a thread; a bucket that is away is swept later."""

    snapshots: PosixSnapshots
    step: ProtectStep

    @property
    def lane(self) -> LaneSpec:
        """One run at a time: each is read by several threads."""
        return LaneSpec("protect", self.step.run, 1, ("bucket", "state"))


def open_protection(settings: Settings, journal: Journal) -> Protection:
    """The version store and its step; opens nothing yet."""
    snapshots = open_snapshots(settings)
    provenance = PosixProvenance([tier.path for tier in settings.tier.values()])
    code = [str(folder) for folder in settings.training.code]
    return Protection(snapshots, ProtectStep(journal, snapshots, provenance, SystemClock(), code, settings.training.exclude))


def open_snapshots(settings: Settings) -> PosixSnapshots:
    """The version store of a site."""
    bucket: Path = settings.bucket.path
    return PosixSnapshots(
        bucket,
        settings.site.state / CACHE,
        mount=settings.bucket.mount,
        reserve_bytes=settings.bucket.reserve_bytes,
        readers=settings.protection.copies,
        immutable=settings.protection.immutable,
    )
