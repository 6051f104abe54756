"""Facts in the past tense: what the journal holds, MQTT publishes and the catalog is projected from.

An event's ``type`` is ``<noun>.<past participle>``; on the wire it is prefixed with ``slidekeeper.``.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from slidekeeper.model.identity import BatchId, PackId, SlideNumber
from slidekeeper.model.records import AlignmentFacts, RecordsFacts, RecordsId
from slidekeeper.model.slide import SlideFacts
from slidekeeper.model.value import Value


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


class RecordsEvent(Value):
    """Something that happened to the records of one batch."""

    records: RecordsId

    @property
    def subject(self) -> str:
        """The id of the thing this event is about."""
        return self.records


class RecordsArrived(RecordsEvent):
    """First sight of a records folder's files, or of corrected ones; they may still be changing."""

    type: Literal["records.arrived"] = "records.arrived"
    revision: int


class RecordsSettled(RecordsEvent):
    """All files are there and no longer changing, and the batch's images are complete."""

    type: Literal["records.settled"] = "records.settled"
    revision: int
    batch: BatchId
    files: int
    size: int


class RecordsLoaded(RecordsEvent):
    """The anonymized rows are in the bucket, searched and found clean."""

    type: Literal["records.loaded"] = "records.loaded"
    facts: RecordsFacts


class RecordsAligned(RecordsEvent):
    """Rows are tied to slides; what did not match is counted."""

    type: Literal["records.aligned"] = "records.aligned"
    facts: AlignmentFacts


class RecordsOutdated(RecordsEvent):
    """Slides came late, or left: rows have to be tied to slides again, as alignment number ``alignment``."""

    type: Literal["records.outdated"] = "records.outdated"
    revision: int
    batch: BatchId
    alignment: int


class RecordsFailed(RecordsEvent):
    """A step failed in a way that may pass; it is tried again after a delay."""

    type: Literal["records.failed"] = "records.failed"
    step: str
    reason: str
    detail: str = ""


class RecordsQuarantined(RecordsEvent):
    """Held for a person; the files stay untouched where they are."""

    type: Literal["records.quarantined"] = "records.quarantined"
    step: str
    reason: str
    detail: str = ""


class RecordsRetried(RecordsEvent):
    """An operator took the records out of quarantine to try again."""

    type: Literal["records.retried"] = "records.retried"
    by: str


class RecordsWithdrawn(RecordsEvent):
    """Rows of somebody whose consent is withdrawn were removed from all revisions; ``facts`` are the newest one's now."""

    type: Literal["records.withdrawn"] = "records.withdrawn"
    facts: RecordsFacts
    alignment: int


class WithdrawalEvent(Value):
    """A patient's or slide's consent is withdrawn; ``withdrawal`` is random and tells nothing."""

    withdrawal: str

    @property
    def subject(self) -> str:
        """The id of the thing this event is about."""
        return self.withdrawal


class ConsentWithdrawn(WithdrawalEvent):
    """The order to remove slides everywhere; from here on nothing of them is published."""

    type: Literal["consent.withdrawn"] = "consent.withdrawn"
    slides: tuple[SlideNumber, ...]
    others: tuple[str, ...]
    """Numbers of the patients and cases that go with them."""
    by: str


class SlidesRemoved(WithdrawalEvent):
    """Slides, records and links of a withdrawal are gone, and were searched for."""

    type: Literal["slides.removed"] = "slides.removed"
    slides: tuple[SlideNumber, ...]
    revisions: int
    rows: int


class IdentityEvent(Value):
    """Somebody passed the honest broker's door; never says to whom."""

    by: str
    reason: str
    """As the person stated it."""

    @property
    def subject(self) -> str:
        """The door."""
        return "broker"


class IdentitySought(IdentityEvent):
    """Numbers were looked up for so many identifiers."""

    type: Literal["identity.sought"] = "identity.sought"
    asked: int


class IdentityRevealed(IdentityEvent):
    """Identifiers were revealed for so many numbers."""

    type: Literal["identity.revealed"] = "identity.revealed"
    asked: int


class KeyRotated(IdentityEvent):
    """The linking table was sealed anew under another key."""

    type: Literal["key.rotated"] = "key.rotated"
    version: int


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
AnySiteEvent: TypeAlias = PlaceSuspended | PlaceResumed | WatchDegraded | WatchRestored | DaemonStarted | DaemonStopped
Event: TypeAlias = AnyPackEvent | AnyBatchEvent | AnyRecordsEvent | AnyBrokerEvent | AnySiteEvent

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
