"""``retention``: which versions policy keeps and why; with ``--apply``, those it does not keep are marked for removal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json, print_rows

COLUMNS = {
    "version": "version",
    "created": "created (UTC)",
    "size": "size",
    "verdict": "verdict",
    "reasons": "why",
    "until": "removed after",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("retention")(retention)


def retention(
    ctx: typer.Context,
    apply: Annotated[
        bool, typer.Option("--apply/--dry-run", help="Mark what is not kept; it is removed after [retention] grace_days.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what [retention] keeps of each project, and why. Removes nothing by itself."""
    from slidekeeper.bootstrap.versions import offline_retention

    with plain_errors():
        settings = ctx.obj.settings()
        door = Door(settings)
        rows = door.order("/retention")["versions"] if apply else door.ask("/retention", {}, lambda _: offline_retention(settings))
        if as_json:
            print_json(rows)
        else:
            print_rows([_row(row) for row in rows], COLUMNS, "No versions yet.")


def _row(row: Mapping[str, Any]) -> Mapping[str, Any]:
    verdict = "keep" if row["keep"] else "remove"
    until = (row["remove_after"] or "-")[:10]
    return {**row, "created": row["created"][:10], "verdict": verdict, "reasons": "; ".join(row["reasons"]), "until": until}
