"""The message broker that events are published to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

Publish: TypeAlias = Callable[[str, bytes], Awaitable[None]]
"""Publishes a payload to a topic with QoS 1; returns when the broker has acknowledged it."""


class Broker(Protocol):
    """Makes connections; a lost one is made again by whoever needs it."""

    def session(self) -> AbstractAsyncContextManager[Publish]:
        """Connect.

        Raises:
            Temporary: ``broker-unreachable``, on connecting or on any publish of the session.
        """
        ...
