"""``slides list|show``: anonymized facts only."""

from __future__ import annotations

from typing import Annotated

import typer

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json, print_rows
from slidekeeper.errors import Refused

app = typer.Typer(help="Slides by their random numbers: anonymized facts only.", no_args_is_help=True)

COLUMNS = {
    "number": "number",
    "revision": "rev",
    "format": "format",
    "width": "width",
    "height": "height",
    "mpp": "um/px",
    "size": "size",
    "batch": "batch",
}


@app.command("list")
def list_slides(
    ctx: typer.Context,
    batch: Annotated[str, typer.Option(help="Only this batch.")] = "",
    after: Annotated[str, typer.Option(help="Continue behind this number.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the newest revision of every slide."""
    with plain_errors():
        door = Door(ctx.obj.settings())
        rows = door.ask("/slides", {"after": after, "limit": limit, "batch": batch}, lambda desk: desk.slides(after, limit, batch))
        if as_json:
            print_json(rows)
        else:
            print_rows(rows, COLUMNS, "No slides yet. They appear here as soon as a pack is catalogued.")


@app.command("show")
def show_slide(
    ctx: typer.Context,
    number: Annotated[str, typer.Argument(help="Slide number, 12 digits.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show all that is known of a slide, every revision."""
    with plain_errors():
        door = Door(ctx.obj.settings())
        revisions = door.ask(f"/slides/{number}", {}, lambda desk: desk.slide(number))
        if not revisions:
            raise Refused("unknown-slide", f"there is no slide {number[:12]}", "See `slidekeeper slides list`")
        if as_json:
            print_json(revisions)
            return
        for revision in revisions:
            print_rows([{"fact": key, "value": value} for key, value in revision.items()], {"fact": "fact", "value": "value"}, "")
