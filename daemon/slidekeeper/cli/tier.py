"""``tier audit``: what lies on tiers and in training roots and belongs to nobody."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.render import print_json, print_rows, readable

app = typer.Typer(help="Tiers and training roots.", no_args_is_help=True)

STRAYS = {"root": "where", "path": "path", "files": "files", "size": "size", "why": "why"}


@app.callback()
def _tier() -> None:
    """Tiers and training roots."""


@app.command("audit")
def audit(ctx: typer.Context, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List everything that belongs to no active staging or run; ends with 1 if there is anything. Needs no daemon."""
    from slidekeeper.bootstrap.auditing import audit_places

    with plain_errors():
        strays = asyncio.run(audit_places(ctx.obj.settings()))
        rows = [
            {"root": str(each.root), "path": readable(each.path), "files": each.files, "size": each.size, "why": each.why}
            for each in strays
        ]
        if as_json:
            print_json(rows)
        else:
            print_rows(rows, STRAYS, "Nothing is there that belongs to nobody.")
        if rows:
            raise typer.Exit(Exit.FAILED)
