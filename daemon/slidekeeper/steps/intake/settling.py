"""When a pack has settled; pure. Time is given in seconds of a clock that never jumps.

A pack settles when size, mtime and ctime of all its files were the same over at least two looks that span the quiet time, nobody
holds a file open for writing, and the image's structure is whole. What is quiet but not sound waits a while for what may still
come, and is then held for a person; what never becomes quiet is reported as stuck, and never dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from slidekeeper.model.phi import FileIdentity, Role
from slidekeeper.settings.sections import DropSettings
from slidekeeper.workflow.retry import FEW_ATTEMPTS

WORST_FIRST = ("not-a-regular-file", "invalid-barcode", "ambiguous-pack")
"""Faults that no waiting mends."""

INCOMPLETE = "incomplete-pack"
"""Held when no image comes."""

WORKERS_FAULT = "worker-"
"""What a fault begins with when the image brought down the worker that examined it: waiting mends nothing, and others wait too."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one member: its identity and number of links, or None when it is gone."""

    role: Role
    identity: FileIdentity | None
    links: int = 1
    unreadable: bool = False
    """It could not be looked at: ``identity`` is the one it had."""


@dataclass(slots=True)
class Watch:
    """What is remembered of a pack between looks."""

    since: float
    quiet_since: float
    identities: tuple[FileIdentity | None, ...] = ()
    looks: int = 0
    stuck: bool = False
    crashes: int = 0
    """So often it brought down the worker that examined it."""
    came_back: bool = False
    """It had settled before, and changed behind that."""

    def again(self, now: float) -> Watch:
        """The watch of the same pack when it comes back, because it changed behind its settling: how long it takes goes on counting."""
        return Watch(self.since, now, stuck=self.stuck, came_back=True)

    def is_overdue(self, settings: DropSettings, now: float) -> bool:
        """Whether it has been unsettled for too long, and that was not reported yet."""
        return now - self.since >= settings.stuck_seconds and not self.stuck

    def note(self, looks: Sequence[Look], now: float) -> None:
        """Take a look into account: any change begins the quiet time anew."""
        identities = tuple(look.identity for look in looks)
        if identities != self.identities:
            self.identities = identities
            self.quiet_since = now
            self.looks = 0
        self.looks += 1


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again at ``until``."""

    until: float


@dataclass(frozen=True, slots=True)
class Examine:
    """Quiet and plausible: ask whether somebody writes, and whether the image is whole."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Quiet but unsound for too long: hold for a person."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stuck:
    """Unsettled for too long: report, look again at ``until``."""

    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing is left of the pack."""


Step: TypeAlias = Wait | Examine | Hold | Stuck | Gone


def next_step(watch: Watch, looks: Sequence[Look], barcode_is_valid: bool, settings: DropSettings, now: float) -> Step:
    """What to do after a look that :meth:`Watch.note` has taken into account."""
    if all(look.identity is None for look in looks):
        return Gone()
    if any(look.unreadable for look in looks):
        return wait_or_report(watch, "unreadable", settings, now, at_least=settings.settle_seconds)
    quiet = now - watch.quiet_since
    keeps_coming_back = watch.came_back and watch.is_overdue(settings, now)
    if quiet < settings.settle_seconds or watch.looks < 2 or keeps_coming_back:  # noqa: PLR2004 - two looks make a comparison
        return wait_or_report(watch, "keeps-changing", settings, now)
    fault = fault_of([look for look in looks if look.identity is not None], barcode_is_valid)
    if fault:
        return after_fault(watch, fault, settings, now)
    return Examine()


def after_fault(watch: Watch, fault: str, settings: DropSettings, now: float) -> Step:
    """What to do about a quiet pack with a fault: wait for what may mend it, then hold it."""
    if fault.startswith(WORKERS_FAULT):
        watch.crashes += 1
        return Hold(fault) if watch.crashes >= FEW_ATTEMPTS.get(fault, 1) else Wait(now + settings.settle_seconds)
    if fault in WORST_FIRST or now - watch.quiet_since >= settings.incomplete_seconds:
        return Hold(fault)
    return Wait(min(watch.quiet_since + settings.incomplete_seconds, now + settings.settle_seconds))


def is_premature(step: Step, watch: Watch, looking_since: float | None) -> bool:
    """Whether a pack would be held for lack of a file that a scan may yet come to: it was under way when the last one was seen."""
    return isinstance(step, Hold) and step.reason == INCOMPLETE and looking_since is not None and looking_since <= watch.quiet_since


def after_writer(watch: Watch, settings: DropSettings, now: float) -> Step:
    """What to do about a quiet pack that somebody still holds open for writing."""
    return wait_or_report(watch, "being-written", settings, now, at_least=settings.settle_seconds)


def before_notice(watch: Watch, settings: DropSettings, now: float) -> Step:
    """What to do about a quiet pack whose batch's notice was not given yet."""
    return wait_or_report(watch, "waits-for-notice", settings, now, at_least=settings.scan_seconds)


def after_change(watch: Watch, settings: DropSettings, now: float) -> Step:
    """What to do about a pack that changed while it was examined."""
    return wait_or_report(watch, "keeps-changing", settings, now, at_least=settings.settle_seconds)


def wait_or_report(watch: Watch, reason: str, settings: DropSettings, now: float, at_least: float = 0.0) -> Step:
    """Wait until the quiet time is over; report once when this has been going on for too long."""
    until = max(watch.quiet_since + settings.settle_seconds, now + at_least)
    if watch.is_overdue(settings, now):
        watch.stuck = True
        return Stuck(reason, until)
    return Wait(until)


def fault_of(looks: Sequence[Look], barcode_is_valid: bool) -> str:
    """Why a quiet pack is not sound, as far as names and directory entries tell; empty when it is."""
    images = [look for look in looks if look.role is Role.IMAGE]
    if any(look.role is Role.SPECIAL for look in looks):
        return "not-a-regular-file"
    if not barcode_is_valid:
        return "invalid-barcode"
    if len(images) > 1:
        return "ambiguous-pack"
    if not images:
        return INCOMPLETE
    if any(look.links > 1 for look in images):
        return "hard-linked"
    return "" if images[0].identity and images[0].identity.size else "empty-file"
