"""The relay outlives its broker and its disk: it goes on where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from slidekeeper.engine.relay import Relay
from slidekeeper.errors import SlidekeeperError, Temporary, Unavailable
from slidekeeper.messages.events import DaemonStopped
from slidekeeper.ports.broker import Publish
from slidekeeper.ports.journal import Recorded


class TroubledOutbox:
    """Three events, behind a trouble that passes."""

    def __init__(self, trouble: SlidekeeperError) -> None:
        self.rows = [Recorded(seq, f"id-{seq}", datetime.now(UTC), DaemonStopped()) for seq in (1, 2, 3)]
        self.troubles = [trouble]

    async def unpublished(self, limit: int) -> Sequence[Recorded]:
        if self.troubles:
            raise self.troubles.pop()
        return self.rows[:limit]

    async def published(self, seq: int) -> None:
        self.rows = [row for row in self.rows if row.seq > seq]

    async def backlog(self) -> int:
        return len(self.rows)


class HearingBroker:
    """Keeps what it was sent."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Publish]:
        async def publish(topic: str, payload: bytes) -> None:
            self.heard.append(topic)

        yield publish


@pytest.mark.parametrize("trouble", [Temporary("broker-lost"), Unavailable("state", "io-error")])
async def test_what_could_not_be_read_or_sent_for_a_while_is_sent_afterwards(trouble: SlidekeeperError) -> None:
    outbox, broker = TroubledOutbox(trouble), HearingBroker()
    relay = asyncio.create_task(Relay(outbox, broker, asyncio.Event().wait, "site", "slidekeeper", 0.001).run())  # type: ignore[arg-type]
    async with asyncio.timeout(30):
        while outbox.rows and not relay.done():
            await asyncio.sleep(0.001)
    assert not relay.done()
    assert len(broker.heard) == 3
    relay.cancel()
