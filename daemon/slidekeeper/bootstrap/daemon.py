"""The daemon's life: start in order, run until told to stop, stop in order."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import structlog

from slidekeeper import __version__
from slidekeeper.adapters.drop.lease import ignore_lease_signals
from slidekeeper.adapters.notify import Notifier
from slidekeeper.adapters.snapshots.kernel import keep_to_this_process
from slidekeeper.bootstrap.assemble import Parts, assemble
from slidekeeper.bootstrap.lock import state_lock
from slidekeeper.bootstrap.places import Layout, sweep_leftovers
from slidekeeper.bootstrap.stopping import leave_in_time, stop_working, take_leave
from slidekeeper.engine.heartbeat import Pulse
from slidekeeper.engine.recovery import sweep_asides
from slidekeeper.errors import SettingsError, Temporary, Unavailable
from slidekeeper.logs import configure_logging
from slidekeeper.messages.events import DaemonStarted
from slidekeeper.settings.loader import Settings, load_settings
from slidekeeper.workflow.states import UNDER_WAY

log = structlog.get_logger(__name__)

PULSE_SECONDS = 5.0
BEATS_WANTED = 4
"""In the watchdog's time. A beat may be late by the whole interval, for so long the journal may take to answer: that leaves half."""
STUCK_GRACE_SECONDS = 120.0
"""A lane whose command runs this much longer than a worker may is stuck: the worker's own time limit failed."""
CALL_THREADS = 64
"""Threads for calls on drop folders and bucket, more than the lanes and watchers can have under way: those that hang on one share must
leave some for the others. They are started only when needed."""


def run_daemon(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        Refused: the state, a key or a permission is not as it must be; the message says how to mend it.
    """
    configure_logging(settings.log)
    ignore_lease_signals()
    keep_to_this_process()
    with state_lock(settings.site.state):
        asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(CALL_THREADS, thread_name_prefix="call"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _begin_stop, stopping, settings)
    async with AsyncExitStack() as stack:
        notifier = stack.enter_context(Notifier.from_environment())
        reloads = Reloads(settings, notifier)
        loop.add_signal_handler(signal.SIGHUP, reloads.begin)
        parts = await assemble(settings, stack)
        # What was imported and assembled stays: else every full collection would visit all of it, and hold the loop meanwhile.
        gc.collect()
        gc.freeze()
        stack.callback(gc.unfreeze)  # else what stayed is taken for leaked when the interpreter ends
        await _run(parts, notifier, stopping, settings)


def _begin_stop(stopping: asyncio.Event, settings: Settings) -> None:
    if not stopping.is_set():
        leave_in_time(settings.engine.stop_seconds)
        stopping.set()


class Reloads:
    """Takes up the settings file's ``[log]`` section; everything else is taken up at the next start."""

    def __init__(self, settings: Settings, notifier: Notifier) -> None:
        self._file = settings.file
        self._notifier = notifier
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self) -> None:
        """Reload beside everything else: to find out where folders really lie may take as long as a share likes."""
        task = asyncio.ensure_future(self._reload())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _reload(self) -> None:
        self._notifier.reloading()
        try:
            settings = await asyncio.to_thread(load_settings, self._file)
            configure_logging(settings.log)
            log.info("log settings reloaded")
        except SettingsError as wrong:
            log.error("settings not reloaded", detail=wrong.detail)
        self._notifier.ready()


async def _run(parts: Parts, notifier: Notifier, stopping: asyncio.Event, settings: Settings) -> None:
    await _sweep(parts, settings)
    await parts.withdrawals.prepare()
    async with asyncio.TaskGroup() as group:
        service = [group.create_task(task, name=name) for name, task in _background(parts, notifier, settings)]
        engine = group.create_task(parts.engine.run(), name="engine")
        watching = group.create_task(parts.intake.run(), name="intake")
        await _announce_start(parts)
        notifier.ready()
        await stopping.wait()
        notifier.stopping()
        log.info("stopping")
        watching.cancel()
        await stop_working(parts, engine, settings.engine.stop_seconds)
        await take_leave(parts)
        parts.api.stop()
        for task in service:
            if task.get_name() != "api":
                task.cancel()


def beat_interval(watchdog_seconds: float) -> float:
    """Seconds between two looks at whether the engine is alive; 0.0 means that no supervisor waits for beats."""
    return watchdog_seconds / BEATS_WANTED if watchdog_seconds else PULSE_SECONDS


def _background(parts: Parts, notifier: Notifier, settings: Settings) -> list[tuple[str, Coroutine[Any, Any, None]]]:
    pulse = Pulse(parts.stores.journal, parts.engine.lanes, notifier.beat, settings.anonymize.timeout_seconds + STUCK_GRACE_SECONDS)
    tasks = [
        ("workers", parts.executor.warm_up()),
        ("api", parts.api.run()),
        ("lag", parts.lag.run()),
        ("pulse", pulse.run(beat_interval(notifier.watchdog_seconds))),
        ("publisher", parts.publisher.run()),
        ("withdrawals", parts.withdrawals.run()),
        *(parts.records.tasks if parts.records else ()),
        *parts.training.tasks,
    ]
    return tasks + ([("relay", parts.relay.run())] if parts.relay else [])


async def _sweep(parts: Parts, settings: Settings) -> None:
    """Remove what a killed daemon left half done; a bucket that is away now is swept at another start."""
    leftovers = await asyncio.to_thread(sweep_leftovers, Layout(settings))
    leftovers += await parts.training.staging.stagings.sweep()
    try:
        asides = await sweep_asides(parts.stores.bucket, parts.stores.journal)
        asides += await asyncio.to_thread(parts.training.protection.snapshots.sweep)
    except (Temporary, Unavailable) as trouble:
        log.warning("bucket not swept", reason=trouble.reason, detail=trouble.detail)
    else:
        log.info("swept", leftovers=leftovers, asides=asides)


async def _announce_start(parts: Parts) -> None:
    counts = await parts.stores.journal.counts()
    pending = sum(counts.get(state, 0) for state in UNDER_WAY)
    await parts.engine.submit(DaemonStarted(version=__version__, pending=pending))
    log.info("ready", version=__version__, pending=pending)
