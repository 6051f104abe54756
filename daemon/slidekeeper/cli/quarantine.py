"""``quarantine list|show|retry|discard``: packs held for a person, and what the person decides."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json, print_rows
from slidekeeper.errors import Refused

app = typer.Typer(help="Packs held for a person, with a reason.", no_args_is_help=True)

Pack = Annotated[str, typer.Argument(help="Pack id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
COLUMNS = {"pack": "pack", "reason": "reason", "detail": "detail", "drop": "drop", "batch": "batch", "updated": "since (UTC)"}


@app.command("list")
def list_held(
    ctx: typer.Context,
    after: Annotated[str, typer.Option(help="Continue behind this pack id.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List held packs with their reasons."""
    with plain_errors():
        door = Door(ctx.obj.settings())
        rows = door.ask("/quarantine", {"after": after, "limit": limit}, lambda desk: desk.quarantine(after, limit))
        if as_json:
            print_json(rows)
        else:
            print_rows(rows, COLUMNS, "Nothing is held.")


@app.command("show")
def show_held(
    ctx: typer.Context,
    pack: Pack,
    reveal: Annotated[bool, typer.Option("--reveal", help="Also print where the files are: identifies the patient.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show one pack; with --reveal also its files, for those who may read the restricted index."""
    from slidekeeper.bootstrap.identified import reveal_files

    with plain_errors():
        settings = ctx.obj.settings()
        row = Door(settings).ask(f"/packs/{pack}", {}, lambda desk: desk.pack(pack))
        if row is None:
            raise Refused("unknown-pack", f"there is no pack {pack[:16]}", "See `slidekeeper quarantine list`")
        answer = dict(row) | ({"files": reveal_files(settings, pack)} if reveal else {})
        if as_json:
            print_json(answer)
        else:
            print_rows([{"fact": key, "value": value} for key, value in answer.items()], {"fact": "fact", "value": "value"}, "")


@app.command("retry")
def retry(ctx: typer.Context, pack: Pack) -> None:
    """Try a held pack again, from settling on."""
    with plain_errors():
        answer = Door(ctx.obj.settings()).order(f"/quarantine/{pack}/retry")
        Console(highlight=False).print(Text(f"{answer['pack']} is {answer['state']} again"))


@app.command("discard")
def discard(ctx: typer.Context, pack: Pack, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Decide that a held pack is not wanted; its files stay where they are."""
    with plain_errors():
        if not yes:
            typer.confirm("Its slide will not reach the bucket. Discard?", abort=True)
        answer = Door(ctx.obj.settings()).order(f"/quarantine/{pack}/discard")
        Console(highlight=False).print(Text(f"{answer['pack']} is {answer['state']}"))
