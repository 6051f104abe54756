"""The JSON form of stagings."""

from __future__ import annotations

from typing import Any

from slidekeeper.ports.desk import Answer
from slidekeeper.ports.journal import StagingRow


def staging_answer(row: StagingRow, progress: Answer | None = None, waits_for: str = "") -> dict[str, Any]:
    """A staging's row; with how far its copy is while it runs, and the place it waits for."""
    return {
        "staging": row.staging,
        "name": row.name,
        "state": row.state.value,
        "tier": row.tier,
        "by": row.by,
        "slides": row.cohort.slides,
        "size": row.cohort.size,
        "sql": row.cohort.sql,
        "digest": row.cohort.digest,
        "catalog": row.cohort.catalog,
        "copied": row.facts.copied if row.facts else None,
        "seconds": row.facts.seconds if row.facts else None,
        "manifest": row.facts.manifest if row.facts else "",
        "attempts": row.attempts,
        "reason": row.reason,
        "detail": row.detail,
        "waits_for": waits_for,
        "progress": progress,
        "ordered": row.ordered.isoformat(),
        "updated": row.updated.isoformat(),
    }
