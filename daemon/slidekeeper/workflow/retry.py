"""What follows a failed step: try again after a delay, quarantine, or suspend the place that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from slidekeeper.errors import Permanent, SlidekeeperError, Unavailable
from slidekeeper.messages.commands import Command, PackCommand, RunCommand, StagingCommand
from slidekeeper.messages.events import (
    PackQuarantined,
    RecordsFailed,
    RecordsQuarantined,
    RunFailed,
    RunQuarantined,
    StagingFailed,
    StagingQuarantined,
    StepFailed,
)


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


Failed: TypeAlias = StepFailed | RecordsFailed | StagingFailed | RunFailed
Held: TypeAlias = PackQuarantined | RecordsQuarantined | StagingQuarantined | RunQuarantined
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


def failed(command: Command, reason: str, detail: str) -> Failed:
    """The event that tells that a command's step failed and will be tried again."""
    what = {"step": command.type, "reason": reason, "detail": detail}
    match command:
        case PackCommand():
            return StepFailed(pack=command.pack, **what)
        case StagingCommand():
            return StagingFailed(staging=command.staging, **what)
        case RunCommand():
            return RunFailed(run=command.run, **what)
        case _:
            return RecordsFailed(records=command.records, **what)


def held(command: Command, reason: str, detail: str) -> Held:
    """The event that holds what a command is about for a person."""
    what = {"step": command.type, "reason": reason, "detail": detail}
    match command:
        case PackCommand():
            return PackQuarantined(pack=command.pack, **what)
        case StagingCommand():
            return StagingQuarantined(staging=command.staging, **what)
        case RunCommand():
            return RunQuarantined(run=command.run, **what)
        case _:
            return RecordsQuarantined(records=command.records, **what)
