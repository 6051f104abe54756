"""An MQTT broker through aiomqtt, with QoS 1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiomqtt

from slidekeeper.errors import Temporary
from slidekeeper.ports.broker import Publish


@dataclass(frozen=True, slots=True)
class MqttBroker:
    """Connects to ``host:port`` under a stable client identifier, so that a second daemon of the same site is noticed by the broker."""

    host: str
    port: int
    client_id: str

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Publish]:
        """Connect; see :class:`slidekeeper.ports.broker.Broker`."""
        try:
            async with aiomqtt.Client(self.host, self.port, identifier=self.client_id) as client:

                async def publish(topic: str, payload: bytes) -> None:
                    await client.publish(topic, payload, qos=1)

                yield publish
        except aiomqtt.MqttError as lost:
            raise Temporary("broker-unreachable", str(lost) or type(lost).__name__, "Check [mqtt] host and port") from None
