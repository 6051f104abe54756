"""Facts about a batch's records, withdrawn consent, and the honest broker's door; part of all events, see :mod:`.events`."""

from __future__ import annotations

from typing import Literal

from slidekeeper.model.identity import BatchId, SlideNumber
from slidekeeper.model.records import AlignmentFacts, RecordsFacts, RecordsId
from slidekeeper.model.value import Value


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
    reviewed: bool = False
    """Whether that person read the sample of scrubbed texts, and found nobody in it."""


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
    versions: tuple[str, ...] = ()
    """Versions whose run trained on one of them, ``<project>@v<number>``: what was learned stays, and is listed for the broker."""


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
