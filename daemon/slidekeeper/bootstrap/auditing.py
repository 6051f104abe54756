"""The audit of tiers and training roots: reads the journal, needs no daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.adapters.runs.inventory import PosixInventory
from slidekeeper.bootstrap.places import Layout
from slidekeeper.bootstrap.runs import watched_roots
from slidekeeper.ports.journal import RunRow, StagingRow
from slidekeeper.settings.loader import Settings
from slidekeeper.steps.cleanup.audit import Stray, audit_root, audit_tier

Row = TypeVar("Row", RunRow, StagingRow)
PAGE = 500


async def audit_places(settings: Settings) -> Sequence[Stray]:
    """Everything on tiers and in training roots that belongs to no active staging or run.

    Raises:
        Refused: the site has never run.
        Unavailable: a tier or root cannot be read: then nothing is proven.
    """
    journal = SqliteJournal.open_read_only(Layout(settings).journal)
    try:
        runs = await _all(journal.runs, lambda row: row.run)
        stagings = await _all(journal.stagings, lambda row: row.staging)
    finally:
        await journal.close()
    inventory = PosixInventory()
    newest = {run.place.folder: run for run in sorted(runs, key=lambda run: run.appeared)}
    found = [stray for root in watched_roots(settings) for stray in audit_root(inventory, root, newest)]
    for name, tier in settings.tier.items():
        here = sorted((staging for staging in stagings if staging.tier == name), key=lambda staging: staging.ordered)
        found += audit_tier(inventory, tier.path, {staging.name: staging for staging in here})
    return found


async def _all(page: Callable[..., Awaitable[Sequence[Row]]], key: Callable[[Row], Any]) -> Sequence[Row]:
    rows: list[Row] = []
    while found := await page((), key(rows[-1]) if rows else "", PAGE):
        rows += found
    return rows
