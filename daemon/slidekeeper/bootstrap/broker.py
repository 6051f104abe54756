"""The honest broker's door between identifiers and numbers. Its uses are journaled before anything is answered.

Identifiers are read by the command's own process from the linking table and pass through no socket; who cannot read key and table
gets nothing, whatever the settings say.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.linking.keys import Key, create_key, install_key, load_key
from slidekeeper.adapters.linking.sqlite import SqliteLinking
from slidekeeper.bootstrap.lock import state_lock
from slidekeeper.bootstrap.places import Layout
from slidekeeper.errors import Refused
from slidekeeper.messages.events import Event, KeyRotated
from slidekeeper.model.broker import checked_reason, may_pass, named_caller
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.ports.desk import BrokerUse
from slidekeeper.ports.linking import Revealed
from slidekeeper.settings.loader import Settings

T = TypeVar("T")
Audit = Callable[[], None]
"""Journals the use, or raises."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation left: the new key's version, and where the old one was put."""

    version: int
    retired: Path


def calling_user() -> str:
    """Who calls, for the journal; never taken from what the environment says, except whom root acts for."""
    user = os.geteuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:
        name = f"user {user}"
    return named_caller(user, name, os.environ.get("SUDO_USER", ""))


def find_numbers(settings: Settings, domain: Domain, values: Sequence[Concealed[str]], audit: Audit) -> Sequence[str | None]:
    """The number of each value, None where there is none.

    Raises:
        Refused: the caller may not pass, or the use cannot be journaled.
    """
    return _through_the_door(settings, audit, lambda linking: linking.find(domain, values))


def reveal_numbers(settings: Settings, numbers: Sequence[str], audit: Audit) -> Mapping[str, Revealed]:
    """What the numbers stand for; unknown ones are left out.

    Raises:
        Refused: the caller may not pass, or the use cannot be journaled.
    """
    return _through_the_door(settings, audit, lambda linking: linking.reveal(numbers))


def record_use(settings: Settings, use: BrokerUse) -> None:
    """Journal a use while no daemon runs.

    Raises:
        Refused: a daemon just started, or the journal cannot be written.
    """
    _require_site(settings)
    with state_lock(settings.site.state):
        asyncio.run(_record(settings, use))


def rotate_key(settings: Settings, new_key: Path, reason: str) -> Rotation:
    """Seal the linking table under another key and put that in the old one's place; asked again after a crash, it finishes the work.

    Args:
        settings: of the site; its daemon must be stopped.
        new_key: file of the new key; drawn when it is not there.
        reason: goes into the journal.

    Raises:
        Refused: the caller may not pass, the daemon runs, or neither key opens the table.
    """
    _check_caller(settings)
    reason = checked_reason(reason)
    _require_site(settings)
    with state_lock(settings.site.state):
        old = load_key(settings.site.key, {})
        try:
            new = _new_key(new_key)
            return asyncio.run(_rotate(settings, old, new, reason))
        except OSError as error:
            detail = f"a key file cannot be written: {os.strerror(error.errno or 0)}"
            raise Refused("key-unwritable", detail, "Repeat this as the user who owns [site] key") from None


def _new_key(path: Path) -> Key:
    if not path.exists():
        create_key(path)
    return load_key(path, {})


def _through_the_door(settings: Settings, audit: Audit, question: Callable[[SqliteLinking], Awaitable[T]]) -> T:
    """Open, journal, and only then ask."""

    async def ask() -> T:
        async with _reading(settings) as linking:
            await asyncio.to_thread(audit)
            return await question(linking)

    _check_caller(settings)
    return asyncio.run(ask())


@asynccontextmanager
async def _reading(settings: Settings) -> AsyncIterator[SqliteLinking]:
    table = Layout(settings).linking
    if not os.access(table, os.R_OK):
        raise Refused("not-permitted", "you may not read the linking table, or there is none", "Ask the honest broker")
    linking = SqliteLinking.open_read_only(table, load_key(settings.site.key, os.environ))
    try:
        yield linking
    finally:
        await linking.close()


def _check_caller(settings: Settings) -> None:
    name = settings.broker.group
    try:
        group = grp.getgrnam(name).gr_gid if name else None
    except KeyError:
        raise Refused("unknown-group", f"there is no group {name}", "Create it, or correct [broker] group") from None
    if not may_pass(os.geteuid(), {os.getegid(), *os.getgroups()}, group):
        raise Refused("not-permitted", f"you are no member of {name}", "Ask the honest broker")


def _require_site(settings: Settings) -> None:
    """Before the lock is taken: a command must not leave files of its own in a state that no daemon has made."""
    layout = Layout(settings)
    if not (layout.journal.exists() and layout.linking.exists()):
        raise Refused("never-ran", "this site has no journal or no linking table yet", "Start it once: `slidekeeper run`")


async def _record(settings: Settings, *events: Event) -> None:
    journal = SqliteJournal.open(Layout(settings).journal, SystemClock(), outbox=bool(settings.mqtt.host))
    try:
        await journal.commit_all(events)
    finally:
        await journal.close()


async def _rotate(settings: Settings, old: Key, new: Key, reason: str) -> Rotation:
    """The table first, then the key file, then the journal: whatever is missing after a crash is done when asked again."""
    version = await _seal_under(Layout(settings).linking, old, new)
    retired = settings.site.key.with_name(f"{settings.site.key.name}.v{version - 1}")
    if old != new:
        install_key(new, settings.site.key, retired)
    elif version in await _journaled_rotations(settings):
        raise Refused("key-unchanged", "the new key is the one in use", "Give --new-key a file that is not there yet")
    await _record(settings, KeyRotated(by=calling_user(), reason=reason, version=version))
    return Rotation(version, retired)


async def _seal_under(table: Path, old: Key, new: Key) -> int:
    """The version of the table's key, which is ``new`` afterwards, and may have been before."""
    linking, is_rotated = _opened_by_either(table, old, new)
    try:
        if not is_rotated:
            return await linking.rotate(new)
        await linking.scrub()
        return linking.version
    finally:
        await linking.close()


def _opened_by_either(table: Path, old: Key, new: Key) -> tuple[SqliteLinking, bool]:
    """The table, and whether it is sealed under the new key already."""
    try:
        return SqliteLinking.open(table, old), old == new
    except Refused as refused:
        if refused.reason != "key-wrong":
            raise
        return SqliteLinking.open(table, new), True


async def _journaled_rotations(settings: Settings) -> set[int]:
    journal = SqliteJournal.open_read_only(Layout(settings).journal)
    try:
        recorded = await journal.latest(1, [KeyRotated.model_fields["type"].default])
    finally:
        await journal.close()
    return {each.event.version for each in recorded if isinstance(each.event, KeyRotated)} | {1}
