"""The way to the published catalog, with and without a daemon: it needs nothing but the files."""

from __future__ import annotations

from slidekeeper.adapters.query.duckdb_query import DuckdbQuery
from slidekeeper.bootstrap.places import Layout
from slidekeeper.ports.query import PublishedQuery
from slidekeeper.settings.loader import Settings


def published_query(settings: Settings) -> PublishedQuery:
    """Questions about the site's published catalog."""
    catalog = settings.catalog
    return DuckdbQuery(Layout(settings).published, catalog.query_memory_megabytes, catalog.query_seconds)
