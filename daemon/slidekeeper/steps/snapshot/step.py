"""The step that makes a finished run one version, and proves that it can be read.

It runs at least once, and its effect happens once: a version that an earlier try has committed, without living to tell, is found again.
"""

from __future__ import annotations

import asyncio
import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slidekeeper.errors import Permanent
from slidekeeper.messages.commands import ProtectRun
from slidekeeper.messages.training_events import RunProtected
from slidekeeper.model.excludes import Excludes
from slidekeeper.model.run import DoneMarker, RunPlace
from slidekeeper.model.version import RunOfVersion, VersionDocument, VersionFacts
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal, RunRow
from slidekeeper.ports.provenance import Provenance
from slidekeeper.ports.snapshots import LeavesOut, Snapshots, Source, VersionLabel
from slidekeeper.steps.snapshot.origin import describe
from slidekeeper.steps.snapshot.policy import names_for

ARTIFACTS = "artifacts"
PROVENANCE = "provenance.json"
POLICY = "default"
BY_MARKER, BY_HAND = "marker", "by hand"


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes into a version, and what is asked about it."""

    place: RunPlace
    marker: DoneMarker
    sources: Sequence[Source]

    @property
    def folders(self) -> Mapping[str, str]:
        """The sources' absolute paths by their names in the version."""
        return {source.name: posixpath.join(source.anchor, source.below) if source.below else source.anchor for source in self.sources}


class ProtectStep:
    """Carries out :class:`ProtectRun`."""

    def __init__(
        self,
        journal: Journal,
        snapshots: Snapshots,
        provenance: Provenance,
        clock: Clock,
        code_roots: Sequence[str],
        exclude: Sequence[str],
    ) -> None:
        self._journal = journal
        self._snapshots = snapshots
        self._provenance = provenance
        self._clock = clock
        self._code_roots = code_roots
        self._leaves_out: LeavesOut = Excludes(exclude)

    async def run(self, command: ProtectRun) -> RunProtected:
        """Protect one run.

        Raises:
            Permanent: ``run-vanished``, ``code-outside``, ``run-too-deep``, ``version-damaged``.
            Temporary: ``run-changed``, ``run-unreadable``.
            Unavailable: the bucket cannot be used.
        """
        row = await self._journal.run(command.run)
        if row is None or row.marker is None:
            raise Permanent("unknown-run", "the journal has no finished run of this id")
        facts = await asyncio.to_thread(self._protect, row, row.marker)
        return RunProtected(run=command.run, facts=facts)

    def _protect(self, row: RunRow, marker: DoneMarker) -> VersionFacts:
        started = self._clock.monotonic()
        document = self._committed(row)
        if document is None:
            document = self._commit(row, Plan(row.place, marker, self._sources(row.place, marker)))
            self._snapshots.check(document)
        return _facts(document, self._clock.monotonic() - started)

    def _committed(self, row: RunRow) -> VersionDocument | None:
        """The sound version that an earlier try made of this end of the run, if any: newer than all that the journal knows of."""
        known = row.facts.version if row.facts else 0
        for number in reversed(self._snapshots.numbers(row.place.project)):
            if number <= known:
                return None
            document = self._snapshots.document(row.place.project, number)
            if document.created < row.appeared:
                return None
            if document.run.run == row.run and self._is_sound(document):
                return document
        return None

    def _is_sound(self, document: VersionDocument) -> bool:
        try:
            self._snapshots.check(document)
        except Permanent:
            return False
        return True

    def _commit(self, row: RunRow, plan: Plan) -> VersionDocument:
        place, marker = plan.place, plan.marker
        label = VersionLabel(
            project=place.project,
            created=self._clock.now(),
            status=marker.status,
            message=marker.message,
            run=RunOfVersion(run=row.run, name=place.name, folder=place.folder),
            by=BY_MARKER if place.root else BY_HAND,
            policy=POLICY,
        )
        with self._snapshots.begin() as capture:
            origin = describe(place, marker, POLICY, plan.folders, self._provenance)
            files = {PROVENANCE: json.dumps(origin, indent=2, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogateescape")}
            capture.take(plan.sources, files, self._leaves_out)
            return capture.commit(label)

    def _sources(self, place: RunPlace, marker: DoneMarker) -> list[Source]:
        """The run's folder, and the code folders that it may name."""
        run = Source(ARTIFACTS, place.root, posixpath.relpath(place.folder, place.root)) if place.root else Source(ARTIFACTS, place.folder)
        names = names_for(marker.code)
        return [run, *(self._code_source(f"code/{name}", folder, place) for name, folder in zip(names, marker.code, strict=True))]

    def _code_source(self, name: str, folder: str, place: RunPlace) -> Source:
        real = self._provenance.real(posixpath.join(place.folder, folder))
        for root in (place.folder, *self._code_roots):
            anchor = self._provenance.real(root)
            if real == anchor:
                return Source(name, anchor)
            if real.startswith(anchor.rstrip("/") + "/"):
                return Source(name, anchor, posixpath.relpath(real, anchor))
        remedy = "Name only folders in the run's own or in [training] code"
        raise Permanent("code-outside", "the done-marker names a code folder outside the allowed ones", remedy)


def _facts(document: VersionDocument, seconds: float) -> VersionFacts:
    return VersionFacts(
        project=document.project,
        version=document.version,
        tree=document.tree,
        status=document.status,
        files=document.files,
        size=document.size,
        added=document.added,
        missing=document.missing,
        seconds=seconds,
    )
