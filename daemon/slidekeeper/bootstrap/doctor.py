"""``check``: what a person would examine before trusting a machine with this work. Reads only, and says what to do."""

from __future__ import annotations

import grp
import math
import os
import resource
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Literal

from slidekeeper.adapters.drop.limits import inotify_limits
from slidekeeper.adapters.drop.mounts import is_local
from slidekeeper.adapters.drop.posix import PosixDrop
from slidekeeper.adapters.linking.keys import load_key
from slidekeeper.adapters.snapshots.layout import STORE
from slidekeeper.adapters.snapshots.sealing import protection_of
from slidekeeper.api.server import SOCKET_PATH_LIMIT
from slidekeeper.bootstrap.stopping import CLOSING_SECONDS
from slidekeeper.bootstrap.unit import UNIT, stop_timeout
from slidekeeper.errors import Refused, Unavailable
from slidekeeper.settings.loader import Settings

STATE_RESERVE = 1_000_000_000
"""Bytes that should be free for journal and catalog; they stop all work when they cannot grow."""
BROKER_SECONDS = 3.0
CLOCK_SLACK = 60.0
EVENTS_WANTED = 16_384
"""Events that the kernel should keep for each root: its own default."""
SPARE_INSTANCES = 4
"""inotify instances that the user's other programs may need."""
FILES_WANTED = 512
"""Descriptors of databases, workers, connections and slides in work."""
FILES_OF_A_ROOT = 4
DISPENSABLE = ("records", "tier", "training")
"""Sections whose folders a site may do without."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was examined. ``text`` and ``remedy`` name folders of the settings, never what lies in them."""

    level: Literal["ok", "warning", "error"]
    topic: str
    text: str
    remedy: str = ""


def check_site(settings: Settings) -> list[Finding]:
    """Examine everything; the order is that of the questions a person would ask."""
    checks = (
        _user,
        _folders,
        _privacy,
        _key,
        _honest_broker,
        _disks,
        _protection,
        _drops,
        _watches,
        _limits,
        _door,
        _broker,
        _clock,
        _stop,
    )
    return [finding for check in checks for finding in check(settings)]


def _user(_: Settings) -> Iterator[Finding]:
    if os.geteuid() == 0:
        yield Finding(
            "warning", "user", "examined as root, who may do anything", "Repeat as the service's user: runuser -u slidekeeper -- …"
        )


def _folders(settings: Settings) -> Iterator[Finding]:
    for key, path in settings.trees.items():
        level: Literal["warning", "error"] = "warning" if key.startswith(DISPENSABLE) else "error"
        may_write = not key.startswith("drop") or settings.drop[key.split(".")[1]].after_ingest == "delete"
        wanted = os.R_OK | os.X_OK | (os.W_OK if may_write else 0)
        if not path.is_dir():
            yield Finding(level, key, f"{path} is not there", "Create or mount it, or correct the setting")
        elif not os.access(path, wanted):
            yield Finding(
                level, key, f"{path} cannot be {'written' if may_write else 'read'}", f"Give this user access: see `ls -ld {path}`"
            )
        else:
            yield Finding("ok", key, str(path))


def _privacy(settings: Settings) -> Iterator[Finding]:
    """Folders with identifiers must be closed to others; only drop and records folders may be shared with a group."""
    shared = [*(drop.path for drop in settings.drop.values()), settings.records.path, settings.site.state]
    for path, forbidden in [
        *((path, 0o007) for path in shared),
        (settings.site.state / "identified", 0o077),
        (settings.records.reports, 0o077),
    ]:
        mode = stat.S_IMODE(path.stat().st_mode) if path.is_dir() else 0
        if mode & forbidden:
            yield Finding("error", "privacy", f"{path} is open to others (mode {mode:04o})", f"chmod {mode & ~forbidden:o} {path}")


def _key(settings: Settings) -> Iterator[Finding]:
    try:
        load_key(settings.site.key, os.environ)
    except Refused as refused:
        # The file belongs to root where systemd hands the key over; only the service itself can tell then.
        level: Literal["warning", "error"] = "warning" if refused.reason == "key-unreadable" else "error"
        yield Finding(level, "key", refused.detail, refused.remedy)
    else:
        yield Finding("ok", "key", "the linking table's key is there and restricted")
    if settings.site.key.is_relative_to(settings.site.state):
        yield Finding(
            "warning", "key", "the key lies beside the table it opens", "Move it out of the state folder and its backups: [site] key"
        )


def _honest_broker(settings: Settings) -> Iterator[Finding]:
    group = settings.broker.group
    if group and group not in {known.gr_name for known in grp.getgrall()}:
        remedy = f"groupadd {group}, or correct [broker] group"
        yield Finding("warning", "honest broker", f"there is no group {group}: nobody passes the broker's door", remedy)


def _disks(settings: Settings) -> Iterator[Finding]:
    state = settings.site.state
    if state.is_dir() and not is_local(state):
        yield Finding("error", "disk", "the state lies on a share, where databases get damaged", "Move it to a local disk: [site] state")
    for name, path, reserve in (("state", state, STATE_RESERVE), ("bucket", settings.bucket.path, settings.bucket.reserve_bytes)):
        free = shutil.disk_usage(path).free if path.is_dir() else 0
        if path.is_dir() and free < reserve:
            yield Finding("error", "disk", f"{free:,} bytes are free for the {name}, {reserve:,} are wanted", "Free space")
    if settings.bucket.mount and not settings.bucket.path.is_mount():
        yield Finding("error", "disk", f"nothing is mounted on {settings.bucket.path}", "Mount the bucket")


def _protection(settings: Settings) -> Iterator[Finding]:
    """What keeps stored versions from being removed; a store that only another user may look into is not judged."""
    if not settings.protection.immutable:
        yield Finding("warning", "protection", "versions are read-only, but root can remove them", "[protection] immutable = true")
        return
    try:
        found = protection_of(settings.bucket.path / STORE)
    except OSError:
        return
    if found == "immutable":
        yield Finding("ok", "protection", "versions are immutable: neither their owner nor root removes them by accident")
    elif found == "read-only":
        remedy = "Give the service CAP_LINUX_IMMUTABLE, as systemd/slidekeeper.service does"
        yield Finding("warning", "protection", "the newest version is read-only, but not immutable", remedy)
    elif found == "unsupported":
        remedy = "Keep the bucket on ext4, xfs or btrfs, or [protection] immutable = false"
        yield Finding("warning", "protection", "the bucket's file system knows no immutable files: versions are read-only", remedy)


def _drops(settings: Settings) -> Iterator[Finding]:
    for name, drop in settings.drop.items():
        if not drop.path.is_dir():
            continue  # told by _folders
        try:
            PosixDrop(name, drop.path, drop.mount, drop.sentinel).check_available()
        except Unavailable as unavailable:
            yield Finding("error", f"drop.{name}", unavailable.detail, unavailable.remedy)
    if not settings.drop:
        yield Finding("warning", "drop", "no drop folder is set: nothing will ever arrive", "Add a section [drop.<name>] with its path")


def _watches(settings: Settings) -> Iterator[Finding]:
    """One inotify watch is needed for each directory; without, files are found at the scan's interval."""
    roots = _hinted(settings)
    limit = inotify_limits().watches
    directories = sum(1 for _ in islice(chain.from_iterable(os.walk(root) for root in roots), limit + 1))
    if directories > limit:
        remedy = f"sysctl fs.inotify.max_user_watches={2 * directories}"
        yield Finding("warning", "watches", f"more directories than the {limit} that can be watched", remedy)
    elif roots:
        yield Finding("ok", "watches", f"{directories} directories, {limit} can be watched")


def _limits(settings: Settings) -> Iterator[Finding]:
    """Other limits that make hints incomplete, or end work: a scan finds everything in any case, but only at its interval."""
    roots = len(_hinted(settings))
    limits = inotify_limits()
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted_files = FILES_WANTED + FILES_OF_A_ROOT * roots
    if limits.instances < roots + SPARE_INSTANCES:
        remedy = f"sysctl fs.inotify.max_user_instances={max(128, 2 * roots)}"
        yield Finding("warning", "instances", f"{limits.instances} inotify instances are few for {roots} drop folders", remedy)
    if roots and limits.queued_events < EVENTS_WANTED:
        remedy = f"sysctl fs.inotify.max_queued_events={EVENTS_WANTED}"
        yield Finding("warning", "queue", f"hints are lost when more than {limits.queued_events} events wait", remedy)
    if files != resource.RLIM_INFINITY and files < wanted_files:
        remedy = f"LimitNOFILE={2 * wanted_files} in the unit, or `ulimit -n`"
        yield Finding("warning", "files", f"{files} open files are allowed, {wanted_files} are wanted", remedy)


def _hinted(settings: Settings) -> list[Path]:
    """Drop folders that are watched, not only scanned."""
    return [drop.path for drop in settings.drop.values() if drop.watch != "poll" and drop.path.is_dir() and is_local(drop.path)]


def _door(settings: Settings) -> Iterator[Finding]:
    if len(os.fsencode(settings.api.socket)) > SOCKET_PATH_LIMIT:
        yield Finding("error", "api", f"the socket's path is longer than {SOCKET_PATH_LIMIT} bytes", "Choose a shorter one: [api] socket")


def _broker(settings: Settings) -> Iterator[Finding]:
    mqtt = settings.mqtt
    if not mqtt.host:
        return
    try:
        socket.create_connection((mqtt.host, mqtt.port), BROKER_SECONDS).close()
    except OSError as error:
        why = error.strerror or type(error).__name__
        yield Finding("warning", "mqtt", f"{mqtt.host}:{mqtt.port} does not answer ({why}); events wait in the journal", "See [mqtt]")
    else:
        yield Finding("ok", "mqtt", f"{mqtt.host}:{mqtt.port} answers")


def _clock(settings: Settings) -> Iterator[Finding]:
    """Files of the site that are younger than now mean that the clock was put back."""
    marks = [path for path in (settings.file, settings.site.state / "journal.sqlite") if path and path.is_file()]
    newest = max((path.stat().st_mtime for path in marks), default=0.0)
    if newest > time.time() + CLOCK_SLACK:
        yield Finding(
            "warning", "clock", f"the clock is {newest - time.time():.0f} seconds behind this site's files", "timedatectl set-ntp true"
        )


def _stop(settings: Settings) -> Iterator[Finding]:
    """A stop that systemd does not wait for loses nothing, but is no orderly one."""
    needed, granted = settings.engine.stop_seconds + CLOSING_SECONDS, stop_timeout()
    if granted is not None and granted < needed:
        text = f"a stop may take {needed:.0f} seconds, systemd kills after {granted:.0f}"
        remedy = f"systemctl edit {UNIT}: [Service] TimeoutStopSec={math.ceil(needed)}; or lower [engine] stop_seconds"
        yield Finding("warning", "stop", text, remedy)
