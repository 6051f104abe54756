"""Every error that crosses a room's door, sorted by what the engine does about it.

The class decides the treatment (retry, quarantine, suspend, refuse); the ``reason`` is a stable kebab-case code that
operators search for; ``detail`` and ``remedy`` are for people. None of the three may carry an identifier of a patient,
slide or file: they reach journal, logs and web pages as they are.
"""

from __future__ import annotations


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
