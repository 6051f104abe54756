"""Wires the training roots: watching them, cleaning them, and the orders about runs. The lane `protect` comes from the version store."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slidekeeper.adapters.clock import SystemClock
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.runs.cleaning import PosixRunFolder
from slidekeeper.adapters.runs.roots import PosixTrainingRoot
from slidekeeper.adapters.scripts import SubprocessScripts
from slidekeeper.adapters.snapshots.reading import PosixVersions
from slidekeeper.bootstrap.places import Layout
from slidekeeper.engine.engine import Engine
from slidekeeper.engine.lane import LaneSpec
from slidekeeper.engine.runs_desk import RunsDesk, unknown_run
from slidekeeper.errors import Unavailable
from slidekeeper.model.excludes import Excludes
from slidekeeper.model.run import RunId
from slidekeeper.ports.cleaning import Found, RunFolder
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal
from slidekeeper.settings.loader import Settings
from slidekeeper.settings.training import TrainingSettings
from slidekeeper.steps.cleanup.cleaner import Cleaner, Volume
from slidekeeper.steps.cleanup.step import CleanStep, contents_of, folder_of, version_of
from slidekeeper.steps.runs.by_hand import ByHand
from slidekeeper.steps.runs.intake import RunsIntake

OPEN_TREES = ("tier.", "training.")
"""Sections whose folders people may protect by hand."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The training roots, before the engine is there to report to."""

    settings: Settings
    roots: Sequence[PosixTrainingRoot]
    clean: CleanStep

    @property
    def lanes(self) -> Sequence[LaneSpec]:
        """One run after the other: a cleanup reads its whole version from the bucket."""
        return [LaneSpec("clean", self.clean.run, 1, ("bucket", "state"), unhurried=True)]

    @property
    def probes(self) -> Mapping[str, Callable[[], None]]:
        """How each root's place is asked whether it is usable again."""
        return {root.place: root.check_available for root in self.roots}

    def services(self, engine: Engine, suspend: Callable[[Unavailable], Awaitable[None]], clock: Clock) -> RunsServices:
        """What runs in the background, and the orders it takes."""
        journal, settings = self.clean.journal, self.settings
        intake = RunsIntake(self.roots, journal, engine.submit, suspend, clock, settings.training)
        cleaner = Cleaner(journal, engine.submit, engine.committed, lambda: dict(_volumes(self.roots)), clock, settings.cleanup)
        by_hand = ByHand(journal, engine.submit, [root.root for root in self.roots], closed_paths(settings))
        return RunsServices(intake, cleaner, RunsDesk(journal, engine.submit, by_hand.finish))


@dataclass(frozen=True, slots=True)
class RunsServices:
    """What runs in the background."""

    intake: RunsIntake
    cleaner: Cleaner
    desk: RunsDesk

    @property
    def tasks(self) -> Sequence[tuple[str, Coroutine[Any, Any, None]]]:
        """Their names and coroutines."""
        return [("runs", self.intake.run()), ("cleaner", self.cleaner.run())]


def open_runs(settings: Settings, journal: Journal, record: Callable[[Any], Awaitable[object]]) -> Runs:
    """The training roots and the step that cleans them; ``record`` journals what scripts say."""
    training = settings.training
    roots = [PosixTrainingRoot(root, training.marker, training.mount) for root in watched_roots(settings)]
    versions, clock = PosixVersions(settings.bucket.path, settings.bucket.mount), SystemClock()
    return Runs(settings, roots, CleanStep(journal, versions, folders(settings), SubprocessScripts(), record, clock, settings.cleanup))


def watched_roots(settings: Settings) -> Sequence[Path]:
    """The training roots; the one of the defaults counts only where it is there: not every site trains."""
    defaults = {Path.cwd() / root for root in TrainingSettings().roots}
    if settings.file:
        defaults = {settings.file.parent / root for root in TrainingSettings().roots}
    return [root for root in settings.training.roots if root not in defaults or root.is_dir()]


def folders(settings: Settings) -> Mapping[str, RunFolder]:
    """What removes a run's own files, by root."""
    training, move = settings.training, settings.cleanup.strangers == "move"
    excludes = Excludes(training.exclude)
    return {str(root): PosixRunFolder(root, training.marker, excludes, move, training.mount) for root in training.roots}


def closed_paths(settings: Settings) -> Mapping[str, Path]:
    """What nobody may protect by hand: folders with identifiers or keys, and Slidekeeper's own."""
    return {**{key: path for key, path in settings.trees.items() if not key.startswith(OPEN_TREES)}, **settings.guarded}


async def preview_cleaning(settings: Settings, run: RunId) -> Sequence[Found]:
    """What a cleanup would remove and leave, told without a daemon; the version's bytes are not read for it.

    Raises:
        Refused: there is no such run.
        Permanent: it cannot be cleaned.
        Unavailable: bucket or root are away.
    """
    journal = SqliteJournal.open_read_only(Layout(settings).journal)
    try:
        row = await journal.run(run)
    finally:
        await journal.close()
    if row is None:
        raise unknown_run(run)
    versions = PosixVersions(settings.bucket.path, settings.bucket.mount)
    contents = contents_of(versions, version_of(versions, row), row)
    return list(folder_of(folders(settings), row).examine(row.place, contents))


def _volumes(roots: Sequence[PosixTrainingRoot]) -> Iterator[tuple[str, Volume]]:
    """The file systems of the roots that are there."""
    for root in roots:
        with suppress(OSError, Unavailable):
            root.check_available()
            space = os.statvfs(root.root)
            yield str(root.root), Volume(root.root.stat().st_dev, space.f_bavail * space.f_frsize)
