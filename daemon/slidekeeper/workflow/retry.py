"""What follows a failed step: try again after a delay, quarantine, or suspend the place that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from slidekeeper.errors import Permanent, SlidekeeperError, Unavailable
from slidekeeper.messages.commands import Command, PackCommand
from slidekeeper.messages.events import PackQuarantined, RecordsFailed, RecordsQuarantined, StepFailed


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a step is tried again; delays in seconds."""

    attempts: int = 5
    first_delay: float = 1.0
    factor: float = 4.0
    longest_delay: float = 300.0


@dataclass(frozen=True, slots=True)
class Retry:
    """Run the same command again after ``delay`` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Hold the pack for a person."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Suspend:
    """Pause every step that needs ``place`` until a probe finds it usable; attempts are not counted."""

    place: str
    reason: str
    detail: str


Treatment: TypeAlias = Retry | Quarantine | Suspend

FEW_ATTEMPTS = {"worker-crashed": 2, "worker-timeout": 1, "worker-memory": 1}
"""A pack that brings down its worker gets fewer chances than a flaky share: each try costs a worker."""


def treat(error: SlidekeeperError, attempts: int, policy: RetryPolicy) -> Treatment:
    """Decide about ``error`` after ``attempts`` tries (this one included)."""
    match error:
        case Unavailable():
            return Suspend(error.place, error.reason, error.detail)
        case Permanent():
            return Quarantine(error.reason, error.detail)
        case _ if attempts >= FEW_ATTEMPTS.get(error.reason, policy.attempts):
            return Quarantine(error.reason, f"{error.detail} (given up after {attempts} attempts)".strip())
        case _:
            return Retry(min(policy.longest_delay, policy.first_delay * policy.factor ** (attempts - 1)))


def failed(command: Command, reason: str, detail: str) -> StepFailed | RecordsFailed:
    """The event that tells that a command's step failed and will be tried again."""
    if isinstance(command, PackCommand):
        return StepFailed(pack=command.pack, step=command.type, reason=reason, detail=detail)
    return RecordsFailed(records=command.records, step=command.type, reason=reason, detail=detail)


def held(command: Command, reason: str, detail: str) -> PackQuarantined | RecordsQuarantined:
    """The event that holds what a command is about for a person."""
    if isinstance(command, PackCommand):
        return PackQuarantined(pack=command.pack, step=command.type, reason=reason, detail=detail)
    return RecordsQuarantined(records=command.records, step=command.type, reason=reason, detail=detail)
