"""How the daemon stops: in order, and in time whatever hangs, for a supervisor kills what does not end by itself.

Whatever is left undone is abandoned as a crash would leave it, and taken up again after the next start.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable

import structlog

from slidekeeper.bootstrap.assemble import Parts
from slidekeeper.errors import SlidekeeperError
from slidekeeper.messages.events import DaemonStopped

log = structlog.get_logger(__name__)

CLOSING_SECONDS = 8.0
"""Longest time from the end of the work under way (``[engine] stop_seconds``) to the end of the process."""
PUBLICATION_SECONDS = 3.0
LAST_EVENT_SECONDS = 1.0


def leave_in_time(stop_seconds: float) -> None:
    """End this process when its stop takes longer than it may: a thread that waits for a share that hangs would hold it for ever."""
    timer = threading.Timer(stop_seconds + CLOSING_SECONDS, _leave)
    timer.daemon = True
    timer.start()


async def stop_working(parts: Parts, engine: asyncio.Task[None], stop_seconds: float) -> None:
    """Let work under way finish in time; what does not is abandoned, and done again after the next start."""
    parts.engine.stop()
    parts.training.staging.running.close()
    _, unfinished = await asyncio.wait({engine}, timeout=stop_seconds)
    if unfinished:
        log.warning("work abandoned", lanes=[lane.name for lane in parts.engine.lanes if lane.busy])
        engine.cancel()
        await asyncio.wait({engine})


async def take_leave(parts: Parts) -> None:
    """Publish the catalog and record the end, as far as disks allow that in time; the next start makes up for both."""
    await _within(PUBLICATION_SECONDS, parts.publisher.publish_now(), "catalog not published")
    await _within(LAST_EVENT_SECONDS, parts.engine.submit(DaemonStopped()), "end not recorded")


async def _within(seconds: float, farewell: Awaitable[object], otherwise: str) -> None:
    try:
        async with asyncio.timeout(seconds):
            await farewell
    except TimeoutError:
        log.warning(otherwise, reason="out-of-time")
    except SlidekeeperError as trouble:
        log.warning(otherwise, reason=trouble.reason, detail=trouble.detail)


def _leave() -> None:
    log.error("the stop took too long; what still hangs is left behind")
    os._exit(os.EX_OK)
