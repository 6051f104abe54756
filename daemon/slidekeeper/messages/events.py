"""Facts in the past tense: what the journal holds, MQTT publishes and the catalog is projected from.

An event's ``type`` is ``<noun>.<past participle>``; on the wire it is prefixed with ``slidekeeper.``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from slidekeeper.messages.record_events import (
    ConsentWithdrawn,
    IdentityEvent,
    IdentityRevealed,
    IdentitySought,
    KeyRotated,
    RecordsAligned,
    RecordsArrived,
    RecordsEvent,
    RecordsFailed,
    RecordsLoaded,
    RecordsOutdated,
    RecordsQuarantined,
    RecordsRetried,
    RecordsSettled,
    RecordsWithdrawn,
    SlidesRemoved,
    WithdrawalEvent,
)
from slidekeeper.messages.training_events import (
    RunAppeared,
    RunCleaned,
    RunEvent,
    RunFailed,
    RunFinished,
    RunProtected,
    RunQuarantined,
    RunReleased,
    RunRetried,
    ScriptFinished,
    StagingCompleted,
    StagingEvent,
    StagingFailed,
    StagingOrdered,
    StagingQuarantined,
    StagingReleased,
    StagingRemoved,
    StagingRetried,
    VersionDamaged,
    VersionEvent,
    VersionExpired,
    VersionFreed,
    VersionHealed,
    VersionHeld,
    VersionRemoved,
)
from slidekeeper.model.identity import BatchId, PackId, SlideNumber
from slidekeeper.model.slide import SlideFacts
from slidekeeper.model.value import Value

__all__ = [
    "ConsentWithdrawn",
    "IdentityEvent",
    "IdentityRevealed",
    "IdentitySought",
    "KeyRotated",
    "RecordsAligned",
    "RecordsArrived",
    "RecordsEvent",
    "RecordsFailed",
    "RecordsLoaded",
    "RecordsOutdated",
    "RecordsQuarantined",
    "RecordsRetried",
    "RecordsSettled",
    "RecordsWithdrawn",
    "RunAppeared",
    "RunCleaned",
    "RunEvent",
    "RunFailed",
    "RunFinished",
    "RunProtected",
    "RunQuarantined",
    "RunReleased",
    "RunRetried",
    "ScriptFinished",
    "SlidesRemoved",
    "StagingCompleted",
    "StagingEvent",
    "StagingFailed",
    "StagingOrdered",
    "StagingQuarantined",
    "StagingReleased",
    "StagingRemoved",
    "StagingRetried",
    "VersionDamaged",
    "VersionEvent",
    "VersionExpired",
    "VersionFreed",
    "VersionHealed",
    "VersionHeld",
    "VersionRemoved",
    "WithdrawalEvent",
]
"""Re-exported: whoever speaks of events imports them from here."""


class PackEvent(Value):
    """Something that happened to one pack."""

    noun: ClassVar[str] = "pack"
    pack: PackId

    @property
    def subject(self) -> str:
        """The id of the thing this event is about."""
        return self.pack


class PackArrived(PackEvent):
    """First sight of a pack's files; they may still be changing."""

    type: Literal["pack.arrived"] = "pack.arrived"
    drop: str
    batch: BatchId


class PackSettled(PackEvent):
    """All members are complete and no longer changing."""

    type: Literal["pack.settled"] = "pack.settled"
    files: int
    size: int
    waited_seconds: float


class PackStuck(PackEvent):
    """The pack has been unsettled for longer than the site allows; it is reported, never dropped."""

    type: Literal["pack.stuck"] = "pack.stuck"
    reason: str
    detail: str = ""


class PackChanged(PackEvent):
    """A member changed while it was read: what was read is discarded, the pack settles again."""

    type: Literal["pack.changed"] = "pack.changed"


class PackVanished(PackEvent):
    """Someone took the files away before they were stored."""

    type: Literal["pack.vanished"] = "pack.vanished"


class PackDuplicated(PackEvent):
    """Same barcode and same content as a slide that is already known."""

    type: Literal["pack.duplicated"] = "pack.duplicated"
    number: SlideNumber
    revision: int


class PackQuarantined(PackEvent):
    """Held for a person; the files stay untouched where they are."""

    type: Literal["pack.quarantined"] = "pack.quarantined"
    step: str
    reason: str
    detail: str = ""


class PackRetried(PackEvent):
    """An operator took the pack out of quarantine to try again."""

    type: Literal["pack.retried"] = "pack.retried"
    by: str


class PackDiscarded(PackEvent):
    """An operator decided that this pack is not wanted."""

    type: Literal["pack.discarded"] = "pack.discarded"
    by: str


class PackSuperseded(PackEvent):
    """Other files took the place of a quarantined pack's; they are a pack of their own."""

    type: Literal["pack.superseded"] = "pack.superseded"


class PackReleased(PackEvent):
    """The originals are no longer needed: kept or deleted, as the site wants."""

    type: Literal["pack.released"] = "pack.released"
    originals: Literal["kept", "deleted"]
    detail: str = ""


class StepFailed(PackEvent):
    """A step failed in a way that may pass; it is tried again after a delay."""

    type: Literal["step.failed"] = "step.failed"
    step: str
    reason: str
    detail: str = ""


class SlideAnonymized(PackEvent):
    """An anonymized, proven copy lies aside in the bucket, not yet visible."""

    type: Literal["slide.anonymized"] = "slide.anonymized"
    facts: SlideFacts


class SlideStored(PackEvent):
    """The revision is visible in the bucket, whole and durable."""

    type: Literal["slide.stored"] = "slide.stored"
    facts: SlideFacts


class SlideMislaid(PackEvent):
    """The copy that lay aside is gone (a bucket was swapped or cleaned): the pack is anonymized again."""

    type: Literal["slide.mislaid"] = "slide.mislaid"


class SlideCatalogued(PackEvent):
    """The catalog has the revision's facts."""

    type: Literal["slide.catalogued"] = "slide.catalogued"
    number: SlideNumber
    revision: int


class BatchEvent(Value):
    """Something that happened to one batch."""

    batch: BatchId

    @property
    def subject(self) -> str:
        """The id of the thing this event is about."""
        return self.batch


class BatchOpened(BatchEvent):
    """The first pack of a scanner session was seen."""

    type: Literal["batch.opened"] = "batch.opened"
    drop: str


class BatchClosed(BatchEvent):
    """The pathology department gave notice that the batch's scans are complete."""

    type: Literal["batch.closed"] = "batch.closed"
    by: str


class BatchCompleted(BatchEvent):
    """The last pack of a closed batch came to rest."""

    type: Literal["batch.completed"] = "batch.completed"
    packs: int
    catalogued: int
    duplicates: int
    quarantined: int
    others: int


class SiteEvent(Value):
    """Something that happened to the daemon or a place it depends on."""

    @property
    def subject(self) -> str:
        """The place, or the daemon itself."""
        return getattr(self, "place", "daemon")


class PlaceSuspended(SiteEvent):
    """Work at a place pauses because it cannot be used (full, read-only, unmounted)."""

    type: Literal["place.suspended"] = "place.suspended"
    place: str
    reason: str
    detail: str = ""


class PlaceResumed(SiteEvent):
    """Work at a place goes on."""

    type: Literal["place.resumed"] = "place.resumed"
    place: str


class WatchDegraded(SiteEvent):
    """Hints from the file system are incomplete; scans at their interval find everything, only later."""

    type: Literal["watch.degraded"] = "watch.degraded"
    place: str
    reason: str


class WatchRestored(SiteEvent):
    """Hints are complete again."""

    type: Literal["watch.restored"] = "watch.restored"
    place: str


class DaemonStarted(SiteEvent):
    """The daemon is ready; ``pending`` packs were under way when it last ended."""

    type: Literal["daemon.started"] = "daemon.started"
    version: str
    pending: int


class DaemonStopped(SiteEvent):
    """The daemon ended on request."""

    type: Literal["daemon.stopped"] = "daemon.stopped"


AnyPackEvent: TypeAlias = (
    PackArrived
    | PackSettled
    | PackStuck
    | PackChanged
    | PackVanished
    | PackDuplicated
    | PackQuarantined
    | PackRetried
    | PackDiscarded
    | PackSuperseded
    | PackReleased
    | StepFailed
    | SlideAnonymized
    | SlideStored
    | SlideMislaid
    | SlideCatalogued
)
AnyBatchEvent: TypeAlias = BatchOpened | BatchClosed | BatchCompleted
AnyRecordsEvent: TypeAlias = (
    RecordsArrived
    | RecordsSettled
    | RecordsLoaded
    | RecordsAligned
    | RecordsOutdated
    | RecordsFailed
    | RecordsQuarantined
    | RecordsRetried
    | RecordsWithdrawn
)
AnyBrokerEvent: TypeAlias = IdentitySought | IdentityRevealed | KeyRotated | ConsentWithdrawn | SlidesRemoved
AnyStagingEvent: TypeAlias = (
    StagingOrdered | StagingCompleted | StagingFailed | StagingQuarantined | StagingRetried | StagingReleased | StagingRemoved
)
AnyRunEvent: TypeAlias = RunAppeared | RunFinished | RunProtected | RunReleased | RunCleaned | RunFailed | RunQuarantined | RunRetried
AnyVersionEvent: TypeAlias = VersionDamaged | VersionHealed | VersionHeld | VersionFreed | VersionExpired | VersionRemoved
AnySiteEvent: TypeAlias = PlaceSuspended | PlaceResumed | WatchDegraded | WatchRestored | DaemonStarted | DaemonStopped
AnyStepEvent: TypeAlias = AnyPackEvent | AnyRecordsEvent | AnyStagingEvent | AnyRunEvent
"""Events about what has a state and commands of its own."""
Event: TypeAlias = AnyStepEvent | AnyBatchEvent | AnyVersionEvent | AnyBrokerEvent | AnySiteEvent | ScriptFinished

_EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])


def event_to_json(event: Event) -> bytes:
    """The event's journal form: its fields, ``type`` included."""
    return event.model_dump_json().encode()


def event_from_json(data: bytes | str) -> Event:
    """The event that :func:`event_to_json` wrote.

    Raises:
        pydantic.ValidationError: the text is no event of this version.
    """
    return _EVENTS.validate_json(data)
