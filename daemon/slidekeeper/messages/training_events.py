"""Facts about stagings, training runs and their versions; part of all events, see :mod:`.events`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

from slidekeeper.model.run import CleaningFacts, DoneMarker, MarkerIdentity, RunId, RunPlace
from slidekeeper.model.staging import Cohort, StagingFacts, StagingId
from slidekeeper.model.value import Value
from slidekeeper.model.version import VersionFacts


class StagingEvent(Value):
    """Something that happened to one staging."""

    staging: StagingId

    @property
    def subject(self) -> str:
        """The id of the thing this event is about."""
        return self.staging


class StagingOrdered(StagingEvent):
    """A cohort is to be copied to a tier; its plan, the exact list of slides, is kept beside the journal."""

    type: Literal["staging.ordered"] = "staging.ordered"
    name: str
    tier: str
    cohort: Cohort
    by: str


class StagingCompleted(StagingEvent):
    """Every file is on the tier, verified while it was copied."""

    type: Literal["staging.completed"] = "staging.completed"
    facts: StagingFacts


class StagingFailed(StagingEvent):
    """A step failed in a way that may pass; it is tried again after a delay."""

    type: Literal["staging.failed"] = "staging.failed"
    step: str
    reason: str
    detail: str = ""


class StagingQuarantined(StagingEvent):
    """Held for a person: what was copied stays, and is not complete."""

    type: Literal["staging.quarantined"] = "staging.quarantined"
    step: str
    reason: str
    detail: str = ""


class StagingRetried(StagingEvent):
    """An operator wants the staging to be tried again."""

    type: Literal["staging.retried"] = "staging.retried"
    by: str


class StagingReleased(StagingEvent):
    """Nobody trains on it any more, or it is no longer wanted: it may be removed."""

    type: Literal["staging.released"] = "staging.released"
    by: str
    reason: str = ""


class StagingRemoved(StagingEvent):
    """What the manifest lists is gone from the tier."""

    type: Literal["staging.removed"] = "staging.removed"
    files: int
    size: int
    left: int
    """Files that the manifest does not list: left where they are."""


class RunEvent(Value):
    """Something that happened to one training run."""

    run: RunId

    @property
    def subject(self) -> str:
        """The id of the thing this event is about."""
        return self.run


class RunAppeared(RunEvent):
    """First sight of a run's folder; it is being trained."""

    type: Literal["run.appeared"] = "run.appeared"
    place: RunPlace


class RunFinished(RunEvent):
    """The run is done: its marker is there, or somebody said so."""

    type: Literal["run.finished"] = "run.finished"
    place: RunPlace
    marker: DoneMarker
    by: str
    """``marker``, or who ordered the protection."""
    seen: MarkerIdentity | None = None
    """The marker's file, so that it is taken up once; None where somebody ordered the protection."""


class RunProtected(RunEvent):
    """Artifacts and source code are one immutable version, verified."""

    type: Literal["run.protected"] = "run.protected"
    facts: VersionFacts


class RunReleased(RunEvent):
    """The run's data may leave the tier: by policy, or because somebody said so."""

    type: Literal["run.released"] = "run.released"
    by: str
    """``policy``, or who ordered the cleanup."""
    reason: str


class RunCleaned(RunEvent):
    """The run's data is gone from the tier, and the tier was searched for it."""

    type: Literal["run.cleaned"] = "run.cleaned"
    facts: CleaningFacts


class RunFailed(RunEvent):
    """A step failed in a way that may pass; it is tried again after a delay."""

    type: Literal["run.failed"] = "run.failed"
    step: str
    reason: str
    detail: str = ""


class RunQuarantined(RunEvent):
    """Held for a person; the run's folder stays untouched where it is."""

    type: Literal["run.quarantined"] = "run.quarantined"
    step: str
    reason: str
    detail: str = ""
    seen: MarkerIdentity | None = None
    """The marker's file where that is what is wrong: another one is taken up."""


class RunRetried(RunEvent):
    """An operator wants the step that was given up to be tried again."""

    type: Literal["run.retried"] = "run.retried"
    by: str


class ScriptFinished(Value):
    """A site script ran after a cleanup; of what it wrote, the first 10 kB. Moves nothing: what follows is the run's own event."""

    type: Literal["script.finished"] = "script.finished"
    run: RunId
    script: str
    """The program's file name."""
    code: int
    """Its exit code; negative for the signal that ended it."""
    timed_out: bool = False
    seconds: float
    output: str

    @property
    def subject(self) -> str:
        """The run that was cleaned."""
        return self.run


class VersionEvent(Value):
    """Something that happened to one version after it was made."""

    project: str
    version: int

    @property
    def subject(self) -> str:
        """The version, ``<project>@v<number>``."""
        return f"{self.project}@v{self.version}"


class VersionDamaged(VersionEvent):
    """Stored bytes are not what they were; ``objects`` of the version's objects are affected."""

    type: Literal["version.damaged"] = "version.damaged"
    objects: int
    detail: str = ""


class VersionHealed(VersionEvent):
    """Damaged objects were replaced by the replica's, and verified."""

    type: Literal["version.healed"] = "version.healed"
    objects: int


class VersionHeld(VersionEvent):
    """No policy may remove the version until this day."""

    type: Literal["version.held"] = "version.held"
    until: date
    by: str


class VersionFreed(VersionEvent):
    """The hold was lifted."""

    type: Literal["version.freed"] = "version.freed"
    by: str


class VersionExpired(VersionEvent):
    """Retention wants the version removed; it is, unless something changes before the grace period ends."""

    type: Literal["version.expired"] = "version.expired"
    reason: str
    remove_after: datetime


class VersionRemoved(VersionEvent):
    """The version is gone, by policy; ``size`` bytes were held by no other version."""

    type: Literal["version.removed"] = "version.removed"
    reason: str
    size: int
