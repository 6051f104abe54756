"""The catalog tells where stagings, runs and versions stand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from slidekeeper.adapters.catalog.duckdb_catalog import DuckdbCatalog
from slidekeeper.messages import events as fact
from slidekeeper.ports.journal import Recorded
from writers.events import event_of, version_facts

START = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


async def published(folder: Path, view: str, *events: fact.Event) -> list[dict[str, Any]]:
    """Rows of a view after these events, as a researcher reads them."""
    catalog = DuckdbCatalog.open(folder / "catalog.duckdb", memory_megabytes=100, threads=1)
    recorded = [Recorded(seq, f"id-{seq}", START + timedelta(seconds=seq), event) for seq, event in enumerate(events, 1)]
    await catalog.project(recorded, len(recorded))
    await catalog.publish(folder)
    await catalog.close()
    with duckdb.connect() as connection:
        found = connection.execute(f"FROM read_parquet('{folder / view}.parquet')")
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


async def test_a_staging_is_shown_with_its_cohort_from_order_to_removal(tmp_path: Path) -> None:
    told = (fact.StagingOrdered, fact.StagingCompleted, fact.StagingReleased, fact.StagingRemoved)
    [row] = await published(tmp_path, "stagings", *(event_of(kind) for kind in told))
    assert (row["name"], row["tier"], row["sql"], row["slides"], row["state"]) == ("gleason-high", "flash", "isup >= 4", 12, "removed")
    assert row["updated"] > row["ordered"]


async def test_a_run_is_shown_with_what_it_said_of_itself_and_its_newest_version(tmp_path: Path) -> None:
    again = event_of(fact.RunProtected, facts=version_facts(version=4))
    told = [event_of(kind) for kind in (fact.RunAppeared, fact.RunFinished, fact.RunProtected, fact.RunFinished)]
    [row] = await published(tmp_path, "runs", *told, again)
    assert (row["project"], row["name"], row["state"], row["status"], row["version"]) == (
        "gleason",
        "2026-11-24-a",
        "protected",
        "succeeded",
        4,
    )


async def test_a_run_that_is_held_keeps_its_state_and_shows_why(tmp_path: Path) -> None:
    held = event_of(fact.RunQuarantined, reason="run-vanished")
    [row] = await published(tmp_path, "runs", event_of(fact.RunAppeared), event_of(fact.RunFinished), held)
    assert (row["state"], row["reason"]) == ("finished", "run-vanished")


async def test_versions_show_holds_damage_and_removal(tmp_path: Path) -> None:
    created = [event_of(fact.RunProtected, facts=version_facts(version=number)) for number in (1, 2, 3, 4)]
    changed = [
        event_of(fact.VersionHeld, version=1),
        event_of(fact.VersionHeld, version=2),
        event_of(fact.VersionFreed, version=2),
        event_of(fact.VersionDamaged, version=2),
        event_of(fact.VersionDamaged, version=3),
        event_of(fact.VersionHealed, version=3),
        event_of(fact.VersionRemoved, version=4),
    ]
    rows = await published(tmp_path, "versions", *created, *changed)
    assert [(row["version"], row["held_until"], row["damaged"], row["removed"]) for row in rows] == [
        (1, date(2036, 1, 1), False, False),
        (2, None, True, False),
        (3, None, False, False),
        (4, None, False, True),
    ]
    assert {row["files"] for row in rows} == {4}
