"""A broker that is not there is a temporary error and never a crash."""

from __future__ import annotations

import asyncio
import socket

import pytest

from slidekeeper.adapters.mqtt.broker import MqttBroker
from slidekeeper.errors import Temporary

PATIENCE = 20.0


async def test_a_broker_that_does_not_listen_is_unreachable() -> None:
    with socket.socket() as bound_but_deaf:
        bound_but_deaf.bind(("127.0.0.1", 0))
        broker = MqttBroker("127.0.0.1", bound_but_deaf.getsockname()[1], "slidekeeper-test")
        with pytest.raises(Temporary) as lost:
            async with asyncio.timeout(PATIENCE), broker.session():
                pytest.fail("there is nobody to connect to")
    assert lost.value.reason == "broker-unreachable"
    assert lost.value.remedy


async def test_a_broker_whose_name_cannot_be_resolved_is_unreachable() -> None:
    with pytest.raises(Temporary) as lost:
        async with asyncio.timeout(PATIENCE), MqttBroker("no-such-host.invalid", 1883, "slidekeeper-test").session():
            pytest.fail("there is nobody to connect to")
    assert lost.value.reason == "broker-unreachable"
