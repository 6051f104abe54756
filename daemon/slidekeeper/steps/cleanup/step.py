"""The clean step: a version is verified afresh, its run's files are removed, and the folder is searched for what might be left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from slidekeeper.errors import Permanent, Refused, Temporary
from slidekeeper.messages.commands import CleanRun
from slidekeeper.messages.events import RunCleaned, ScriptFinished
from slidekeeper.model.run import CleaningFacts
from slidekeeper.model.version import VersionDocument, VersionReference
from slidekeeper.ports.cleaning import Contents, Found, RunFolder, ScriptOutcome, Scripts
from slidekeeper.ports.clock import Clock
from slidekeeper.ports.journal import Journal, RunRow
from slidekeeper.ports.snapshots import Versions
from slidekeeper.settings.training import CleanupSettings
from slidekeeper.steps.cleanup.verification import artifacts_tree, verify_version


@dataclass(frozen=True, slots=True)
class Removed:
    """What one pass through a run's folder removed and left."""

    files: int
    size: int
    left: int


@dataclass(frozen=True, slots=True)
class CleanStep:
    """Carries out :class:`CleanRun`; one that was interrupted goes on where it was, and doing it twice is doing it once."""

    journal: Journal
    versions: Versions
    folders: Mapping[str, RunFolder]
    """By the training root."""
    scripts: Scripts
    record: Callable[[ScriptFinished], Awaitable[object]]
    clock: Clock
    settings: CleanupSettings

    async def run(self, command: CleanRun) -> RunCleaned:
        """Clean one run.

        Raises:
            Permanent: ``not-on-tier``, ``not-protected``, ``version-damaged``, ``marker-newer``, ``permission``, ``script-failed`` …
            Temporary: ``not-clean``: something of the run was still there afterwards.
            Unavailable: bucket or root are away.
        """
        began = self.clock.monotonic()
        row = await self.journal.run(command.run)
        if row is None:
            raise Permanent("unknown-run", "the journal has no such run", "See `slidekeeper runs list`")
        folder = folder_of(self.folders, row)
        document, contents = await asyncio.to_thread(self._verified, row)
        removed = await asyncio.to_thread(_clean, folder, row, contents)
        ran = await self._run_scripts(_script_facts(row, document, removed))
        facts = CleaningFacts(
            files=removed.files, size=removed.size, left=removed.left, scripts=ran, seconds=self.clock.monotonic() - began
        )
        return RunCleaned(run=row.run, facts=facts)

    def _verified(self, row: RunRow) -> tuple[VersionDocument, Contents]:
        document = version_of(self.versions, row)
        verify_version(self.versions, document)
        return document, contents_of(self.versions, document, row)

    async def _run_scripts(self, facts: Mapping[str, object]) -> int:
        """Run all scripts in their order; one that fails stops the cleanup.

        Raises:
            Permanent: ``script-failed``.
        """
        data = json.dumps(facts).encode()
        for script in self.settings.scripts:
            outcome = await self.scripts.run(script, data, self.settings.script_seconds)
            await self.record(_script_event(str(facts["run"]), script, outcome))
            if outcome.code or outcome.timed_out:
                how = "took too long" if outcome.timed_out else f"ended with {outcome.code}"
                remedy = "See `slidekeeper events` for its output; then `slidekeeper runs retry`"
                raise Permanent("script-failed", f"a site script {how}: {script.name}", remedy)
        return len(self.settings.scripts)


def folder_of(folders: Mapping[str, RunFolder], row: RunRow) -> RunFolder:
    """The root that holds the run.

    Raises:
        Permanent: ``not-on-tier``.
    """
    folder = folders.get(row.place.root)
    if folder is None:
        raise Permanent("not-on-tier", "the run's folder lies in no training root", "Remove it by hand, if that is wanted")
    return folder


def version_of(versions: Versions, row: RunRow) -> VersionDocument:
    """The version that the run became.

    Raises:
        Permanent: ``not-protected``, ``version-missing``, ``version-differs``.
        Unavailable: the bucket cannot be used.
    """
    if row.facts is None:
        raise Permanent("not-protected", "no version was made of the run", "See `slidekeeper runs show`")
    try:
        document = versions.find(VersionReference(project=row.facts.project, number=row.facts.version))
    except Refused as missing:
        raise Permanent("version-missing", missing.detail, "Nothing was removed; see `slidekeeper versions list`") from None
    if (document.tree, document.run.run) != (row.facts.tree, row.run):
        raise Permanent("version-differs", "the stored version is not the one that was made of the run", "Compare journal and bucket")
    return document


def contents_of(versions: Versions, document: VersionDocument, row: RunRow) -> Contents:
    """What the run's folder should hold."""
    return Contents(artifacts_tree(versions, document), versions.children, row.seen)


def _clean(folder: RunFolder, row: RunRow, contents: Contents) -> Removed:
    """Remove, and prove by another look that nothing of the run is left.

    Raises:
        Temporary: something is.
    """
    removed = _counted(folder.clean(row.place, row.run, contents))
    still_there = sum(found.own for found in folder.examine(row.place, contents))
    if still_there:
        raise Temporary("not-clean", f"{still_there} files of the run are still there")
    return removed


def _counted(found: Iterable[Found]) -> Removed:
    files = size = left = 0
    for each in found:
        files, size, left = files + each.own, size + each.size * each.own, left + (not each.own)
    return Removed(files, size, left)


def _script_facts(row: RunRow, document: VersionDocument, removed: Removed) -> Mapping[str, object]:
    """What a site script reads on its standard input."""
    return {
        "run": row.run,
        "project": row.place.project,
        "name": row.place.name,
        "folder": row.place.folder,
        "root": row.place.root,
        "version": document.version,
        "tree": document.tree,
        "status": document.status,
        "staging": row.marker.staging if row.marker else "",
        "files": removed.files,
        "size": removed.size,
        "left": removed.left,
    }


def _script_event(run: str, script: Path, outcome: ScriptOutcome) -> ScriptFinished:
    return ScriptFinished.model_validate(
        {
            "run": run,
            "script": script.name,
            "code": outcome.code,
            "timed_out": outcome.timed_out,
            "seconds": outcome.seconds,
            "output": outcome.output,
        }
    )
