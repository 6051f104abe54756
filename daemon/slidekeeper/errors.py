"""Every error that crosses a room's door, sorted by what the engine does about it.

The class decides the treatment (retry, quarantine, suspend, refuse); the ``reason`` is a stable kebab-case code that
operators search for; ``detail`` and ``remedy`` are for people. None of the three may carry an identifier of a patient,
slide or file: they reach journal, logs and web pages as they are.
"""

from __future__ import annotations

import errno

LOST_MOUNTS = {
    errno.EIO: "io-error",
    errno.ENODEV: "mount-lost",
    errno.ENOTCONN: "mount-lost",
    errno.ESHUTDOWN: "mount-lost",
    errno.ESTALE: "stale-mount",
    errno.ETIMEDOUT: "no-answer",
    errno.EHOSTDOWN: "no-answer",
    errno.EHOSTUNREACH: "no-answer",
    errno.ECONNREFUSED: "no-answer",
    errno.ECONNRESET: "no-answer",
    errno.ECONNABORTED: "no-answer",
}
"""Errors by which a file system says that it, not the file, has a problem: a reason for :class:`Unavailable`."""


class SlidekeeperError(Exception):
    """Base of all errors Slidekeeper raises on purpose."""

    def __init__(self, reason: str, detail: str = "", remedy: str = "") -> None:
        super().__init__(reason, detail, remedy)
        self.reason = reason
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        text = f"{self.reason}: {self.detail}" if self.detail else self.reason
        return f"{text}. {self.remedy}" if self.remedy else text


class Temporary(SlidekeeperError):
    """May succeed when tried again a little later (a flaky share, a killed worker)."""


class SourceUnreadable(Temporary):
    """A source's file system failed while the source was read; who opened it knows the place, and tells what that means."""

    def __init__(self, number: int) -> None:
        super().__init__("drop-error", errno.errorcode.get(number, "OSError"))
        self.args = (number,)
        self.number = number


class Permanent(SlidekeeperError):
    """Will fail the same way every time: the pack is quarantined with ``reason``."""


class Unavailable(SlidekeeperError):
    """A destination or source cannot be used now (full, read-only, unmounted): work there pauses, nothing is quarantined.

    ``place`` names it in the site's own words: ``bucket``, ``state``, ``drop:<name>``.
    """

    def __init__(self, place: str, reason: str, detail: str = "", remedy: str = "") -> None:
        super().__init__(reason, detail, remedy)
        self.args = (place, reason, detail, remedy)
        self.place = place


class SourceChanged(SlidekeeperError):
    """A source file was replaced, grew, shrank or vanished while it was read: what was read is discarded."""


class Refused(SlidekeeperError):
    """An order, a setting or a key that cannot be accepted; the caller is told why and what to do."""


class SettingsError(Refused):
    """The settings are wrong; ``detail`` names file and key."""


class UndefinedTransition(SlidekeeperError):
    """The workflow table has no row for this state and event: a programming error or an order that came too late."""
