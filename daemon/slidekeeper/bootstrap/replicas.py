"""Wires the replicas: a bucket and a version store for each, that follow the first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from slidekeeper.adapters.bucket.posix import PosixBucket
from slidekeeper.adapters.replica_states import JsonReplicaStates
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.adapters.snapshots.replicating import ReplicaSnapshots
from slidekeeper.bootstrap.places import Layout
from slidekeeper.model.withdrawn import Withdrawn
from slidekeeper.ports.journal import Journal
from slidekeeper.settings.loader import Settings
from slidekeeper.steps.replica.mirroring import Mirror
from slidekeeper.steps.replica.service import Replica


def replicas(settings: Settings, journal: Journal, withdrawn: Withdrawn, committed: Callable[[], Awaitable[None]]) -> Sequence[Replica]:
    """One service for each of the settings' replicas, named by its place in the list."""
    bucket = PosixBucket(settings.bucket.path, settings.bucket.mount)
    versions = PosixVersions(settings.bucket.path, settings.bucket.mount)

    def replica(name: str, root: Path) -> Replica:
        copies = ReplicaSnapshots(root, versions, immutable=settings.protection.immutable)
        states = JsonReplicaStates(Layout(settings).replica(name))
        return Replica(name, journal, Mirror(bucket, PosixBucket(root)), copies, states, withdrawn, committed)

    return [replica(str(number), root) for number, root in enumerate(settings.protection.replicas)]
