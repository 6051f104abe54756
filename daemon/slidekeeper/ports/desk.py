"""The front desk: what people and programs may ask of Slidekeeper, whether its daemon runs or not. Answers are JSON values."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, Protocol, TypeAlias

from slidekeeper.messages.events import IdentityRevealed, IdentitySought
from slidekeeper.model.run import DoneMarker
from slidekeeper.model.staging import StagingId
from slidekeeper.ports.journal import StagingRow

Answer: TypeAlias = Mapping[str, Any]
BrokerUse: TypeAlias = IdentitySought | IdentityRevealed


class RunOrders(Protocol):
    """Orders about training runs."""

    async def done(self, folder: str, project: str, marker: DoneMarker, by: str) -> Answer:
        """Protect a folder as a done-marker would; ``project`` may be empty for a folder in a training root."""
        ...

    async def retry(self, run: str, by: str) -> Answer:
        """Try the step again that was given up: protection or cleanup."""
        ...

    async def clean(self, run: str, by: str) -> Answer:
        """Remove a protected run from its training root."""
        ...


class ReadingDesk(Protocol):
    """Questions that can be answered from journal and catalog alone."""

    async def status(self) -> Answer:
        """Counts per state, queues, places, disk and last errors."""
        ...

    async def events(self, after: int, limit: int, types: Sequence[str] = ()) -> Sequence[Answer]:
        """Journal events as CloudEvents with their ``sequence``, oldest first; the newest ``limit`` when ``after`` is negative."""
        ...

    async def slides(self, after: str, limit: int, batch: str) -> Sequence[Answer]:
        """Newest revision of each slide, by number."""
        ...

    async def slide(self, number: str) -> Sequence[Answer]:
        """All revisions of a slide; empty when there is none."""
        ...

    async def quarantine(self, after: str, limit: int) -> Sequence[Answer]:
        """Packs held for a person, by pack id."""
        ...

    async def pack(self, pack: str) -> Answer | None:
        """One pack in any state, or None."""
        ...

    async def records(self, after: str, limit: int) -> Sequence[Answer]:
        """The records of each batch in any state, by records id."""
        ...

    async def record(self, records: str) -> Answer | None:
        """The records of one batch with the history of their revisions, or None."""
        ...

    async def findings(self, records: str, limit: int) -> Sequence[Answer]:
        """Rows of one batch's records that found no slide, with the reason; lines of the hospital's files, none of their cells."""
        ...

    async def runs(self, after: str, limit: int) -> Sequence[Answer]:
        """Training runs in any state, by run id."""
        ...

    async def run(self, run: str) -> Answer | None:
        """One training run, or None."""
        ...

    async def withdrawals(self) -> Sequence[Answer]:
        """Every withdrawal of consent, oldest first."""
        ...

    async def stagings(self, after: str, limit: int, removed: bool) -> Sequence[Answer]:
        """Stagings on the tiers or on their way there, by staging id; with ``removed`` those that are gone, too."""
        ...

    async def staging(self, name: str) -> Answer | None:
        """The newest staging of a name in any state, or None."""
        ...


class StagingOrders(Protocol):
    """What the desk passes on about stagings. Each raises ``Refused`` for what cannot be done."""

    async def preview(self, name: str, tier: str, where: str, numbers: Sequence[str]) -> Answer:
        """What an order would do."""
        ...

    async def order(self, name: str, tier: str, where: str, numbers: Sequence[str], by: str) -> StagingRow:
        """Order a staging."""
        ...

    async def release(self, name: str, by: str, reason: str) -> StagingRow:
        """Let one go."""
        ...

    async def retry(self, name: str, by: str) -> StagingRow:
        """Try one again."""
        ...

    def progress(self, staging: StagingId) -> Answer | None:
        """How far a copy is, or None when it does not run."""
        ...


class VersionOrders(Protocol):
    """Orders about versions that are stored; each is journaled."""

    async def hold(self, version: str, until: date, by: str) -> Answer:
        """No policy may remove the version until this day."""
        ...

    async def free(self, version: str, by: str) -> Answer:
        """Lift a hold."""
        ...

    async def retention(self) -> Sequence[Answer]:
        """What the policy says of every version, and why; changes nothing."""
        ...

    async def apply_retention(self) -> Sequence[Answer]:
        """Mark for removal what no rule and no hold keeps."""
        ...


class Desk(ReadingDesk, Protocol):
    """What only a running daemon can do."""

    @property
    def run_orders(self) -> RunOrders:
        """Orders about training runs."""
        ...

    def follow(self, after: int) -> AsyncIterator[Sequence[Answer]]:
        """Events after ``after`` as they are committed; an empty portion now and then keeps the connection alive."""
        ...

    async def retry(self, pack: str, by: str) -> Answer:
        """Take a pack out of quarantine to try again."""
        ...

    async def discard(self, pack: str, by: str) -> Answer:
        """Decide that a quarantined pack is not wanted."""
        ...

    async def retry_records(self, records: str, by: str, reviewed: bool) -> Answer:
        """Take records out of quarantine to try again; ``reviewed`` says that the sample of scrubbed texts names nobody."""
        ...

    async def withdraw(self, numbers: Sequence[str], by: str) -> Answer:
        """Withdraw the consent for slides or patients."""
        ...

    async def preview_staging(self, name: str, tier: str, where: str, numbers: Sequence[str]) -> Answer:
        """What staging a cohort would do: slides, bytes, free space, and why it would be refused."""
        ...

    async def stage(self, name: str, tier: str, where: str, numbers: Sequence[str], by: str) -> Answer:
        """Order a staging; one of the same name and cohort is answered as it stands."""
        ...

    async def release_staging(self, name: str, by: str, reason: str) -> Answer:
        """Stop a staging's copy where it runs, and remove what it lists."""
        ...

    async def retry_staging(self, name: str, by: str) -> Answer:
        """Try a held staging again."""
        ...

    async def batch_ready(self, folder: str, by: str) -> Answer:
        """The pathology department's notice that a folder's scans are complete."""
        ...

    @property
    def versions(self) -> VersionOrders:
        """Orders about versions.

        Raises:
            Refused: this daemon has no version store.
        """
        ...

    async def broker_use(self, use: BrokerUse) -> Answer:
        """Record that somebody passes the honest broker's door; answers with the event's ``sequence`` once that is durable."""
        ...
