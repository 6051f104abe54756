"""The front desk's part for training runs: how they are told, and the orders that a running daemon takes about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from slidekeeper.errors import Refused, UndefinedTransition
from slidekeeper.messages.events import RunReleased, RunRetried
from slidekeeper.model.run import DoneMarker, RunId
from slidekeeper.ports.desk import Answer
from slidekeeper.ports.journal import Journal, RunRow
from slidekeeper.workflow.states import RunState

SEE = "See `slidekeeper runs list`"


def run_answer(row: RunRow) -> Answer:
    """The JSON form of a run's row."""
    return {
        "run": row.run,
        "state": row.state.value,
        "project": row.place.project,
        "name": row.place.name,
        "folder": row.place.folder,
        "root": row.place.root,
        "marker": row.marker.model_dump(mode="json") if row.marker else None,
        "version": row.facts.version if row.facts else None,
        "facts": row.facts.model_dump(mode="json") if row.facts else None,
        "attempts": row.attempts,
        "reason": row.reason,
        "detail": row.detail,
        "appeared": row.appeared.isoformat(),
        "updated": row.updated.isoformat(),
    }


def unknown_run(run: str) -> Refused:
    """There is no such run."""
    return Refused("unknown-run", f"there is no run {run[:12]}", SEE)


class RunsDesk:
    """Implements :class:`slidekeeper.ports.desk.RunOrders`."""

    def __init__(
        self,
        journal: Journal,
        submit: Callable[[Any], Awaitable[object]],
        finish: Callable[[Path, str, DoneMarker, str], Awaitable[RunId]],
    ) -> None:
        self._journal = journal
        self._submit = submit
        self._finish = finish

    async def done(self, folder: str, project: str, marker: DoneMarker, by: str) -> Answer:
        """Protect a folder as a done-marker would."""
        return await self._answer(await self._finish(Path(folder), project, marker, by))

    async def retry(self, run: str, by: str) -> Answer:
        """Try the step again that was given up."""
        row = await self._row(run)
        if row.state is RunState.QUARANTINED and row.reason.startswith("marker-"):
            raise Refused("marker-unchanged", row.detail, "Write the done-marker anew: it is taken up by itself; or `slidekeeper protect`")
        try:
            await self._submit(RunRetried(run=row.run, by=by))
        except UndefinedTransition as refused:
            raise Refused("not-in-quarantine", refused.detail, SEE) from None
        return await self._answer(row.run)

    async def clean(self, run: str, by: str) -> Answer:
        """Order a run's cleanup."""
        row = await self._row(run)
        if not row.place.root:
            raise Refused("not-on-tier", "the run's folder lies in no training root", "Remove it by hand, if that is wanted")
        try:
            await self._submit(RunReleased(run=row.run, by=by, reason="ordered"))
        except UndefinedTransition as refused:
            raise Refused("not-protected", refused.detail, "Only a run whose newest version is made can be cleaned") from None
        return await self._answer(row.run)

    async def _row(self, run: str) -> RunRow:
        row = await self._journal.run(RunId(run))
        if row is None:
            raise unknown_run(run)
        return row

    async def _answer(self, run: RunId) -> Answer:
        return run_answer(await self._row(run))
