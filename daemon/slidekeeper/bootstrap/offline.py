"""The reading desk while no daemon runs: journal and catalog, opened so that they cannot be written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.adapters.journal.sqlite import SqliteJournal
from slidekeeper.bootstrap.places import Layout
from slidekeeper.engine.desk import ReadingDesk
from slidekeeper.settings.loader import Settings


@asynccontextmanager
async def reading_desk(settings: Settings) -> AsyncIterator[ReadingDesk]:
    """Open, and close again.

    Raises:
        Refused: the site has never run, or a database cannot be read.
    """
    layout = Layout(settings)
    journal = SqliteJournal.open_read_only(layout.journal)
    try:
        catalog = DuckdbCatalog.open_read_only(layout.catalog, settings.bucket.path)
        try:
            yield ReadingDesk(journal, catalog, settings.site.name, layout.disks)
        finally:
            await catalog.close()
    finally:
        await journal.close()
