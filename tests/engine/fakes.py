"""In-memory stand-ins for the engine's ports: the same decisions as the real journal, without a disk."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from slidekeeper.messages.commands import Command
from slidekeeper.messages.events import Event, PackEvent, StepFailed
from slidekeeper.model.identity import PackId
from slidekeeper.ports.journal import Pending, Recorded
from slidekeeper.workflow.states import PackState
from slidekeeper.workflow.table import decide


@dataclass
class FakePack:
    """One pack's row."""

    state: PackState = PackState.NEW
    command: Command | None = None
    lane_seq: int = 0
    attempts: int = 0


@dataclass
class MemoryJournal:
    """Keeps events and packs in lists and decides by the real table."""

    recorded: list[Recorded] = field(default_factory=list)
    rows: dict[PackId, FakePack] = field(default_factory=dict)
    trouble: str = ""
    silent: bool = False

    async def commit(self, event: Event) -> Recorded:
        ordered = self._decide(event) if isinstance(event, PackEvent) else ""
        recorded = Recorded(len(self.recorded) + 1, f"id-{len(self.recorded) + 1}", datetime.now(UTC), event, ordered)
        self.recorded.append(recorded)
        return recorded

    async def commit_all(self, events: Sequence[Event]) -> Sequence[Recorded]:
        return [await self.commit(event) for event in events]

    def _decide(self, event: PackEvent) -> str:
        row = self.rows.get(event.pack, FakePack())
        decision = decide(row.state, event)  # type: ignore[arg-type]
        row.state = decision.state
        row.attempts = row.attempts + 1 if isinstance(event, StepFailed) else row.attempts if decision.repeats else 0
        if not decision.repeats:
            row.command, row.lane_seq = decision.command, len(self.recorded) + 1
        self.rows[event.pack] = row
        return decision.command.type if decision.command else ""

    async def pending(self, lane: str, after: int, limit: int) -> Sequence[Pending]:
        rows = [
            (row.lane_seq, pack, row)
            for pack, row in self.rows.items()
            if row.command and row.command.type == lane and row.lane_seq > after
        ]
        return [
            Pending(seq, str(pack), row.command, row.attempts)
            for seq, pack, row in sorted(rows, key=lambda item: item[0])[:limit]
            if row.command
        ]

    async def head(self) -> int:
        if self.silent:
            await asyncio.sleep(3600)
        return len(self.recorded)

    async def events(self, after: int, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        wanted = set(types)
        return [record for record in self.recorded if record.seq > after and (not wanted or record.event.type in wanted)][:limit]

    async def latest(self, limit: int, types: Iterable[str] = ()) -> Sequence[Recorded]:
        return (await self.events(0, 10**9, types))[-limit:]

    async def counts(self) -> Mapping[PackState, int]:
        return Counter(row.state for row in self.rows.values())

    def types(self) -> list[str]:
        """Types of all events so far."""
        return [record.event.type for record in self.recorded]

    def states(self) -> dict[PackId, PackState]:
        """State of every pack."""
        return {pack: row.state for pack, row in self.rows.items()}


@dataclass
class ManualClock:
    """A clock that tests move."""

    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds

    def starved(self) -> float:
        return 0.0
