"""Publishes the outbox to the broker: in order, at least once, whatever the broker's health. Memory stays bounded by a page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from slidekeeper.errors import Temporary, Unavailable
from slidekeeper.messages.wire import cloud_event, event_topic
from slidekeeper.ports.broker import Broker, Publish
from slidekeeper.ports.journal import Outbox, Recorded

log = structlog.get_logger(__name__)

PAGE = 100
POLL_SECONDS = 1.0


class Relay:
    """Moves events from the outbox to the broker."""

    def __init__(
        self, outbox: Outbox, broker: Broker, committed: Callable[[], Awaitable[None]], site: str, prefix: str, reconnect_seconds: float
    ) -> None:
        self._outbox = outbox
        self._broker = broker
        self._committed = committed
        self._site = site
        self._prefix = prefix
        self._reconnect_seconds = reconnect_seconds
        self.connected = False

    async def run(self) -> None:
        """Publish for ever; a lost broker, or an outbox that cannot be read, is tried again after a pause."""
        while True:
            try:
                async with self._broker.session() as publish:
                    self.connected = True
                    log.info("broker connected")
                    await self._publish_all(publish)
            except Temporary as lost:
                if self.connected:
                    log.warning("broker lost", reason=lost.reason, detail=lost.detail)
                self.connected = False
                await asyncio.sleep(self._reconnect_seconds)
            except Unavailable as trouble:
                log.warning("outbox cannot be read", reason=trouble.reason, detail=trouble.detail)
                self.connected = False
                await asyncio.sleep(self._reconnect_seconds)

    async def _publish_all(self, publish: Publish) -> None:
        while True:
            page = await self._outbox.unpublished(PAGE)
            for recorded in page:
                await publish(*self._message(recorded))
                await self._outbox.published(recorded.seq)
            if not page:
                await self._next_commit()

    async def _next_commit(self) -> None:
        # A commit between the empty page and this wait is not missed for longer than the poll.
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._committed()
        except TimeoutError:
            return

    def _message(self, recorded: Recorded) -> tuple[str, bytes]:
        topic = event_topic(self._prefix, self._site, recorded.event.type)
        return topic, cloud_event(recorded.id, recorded.time, recorded.event, self._site)
