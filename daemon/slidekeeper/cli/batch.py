"""``batch ready FOLDER``: the pathology department's notice."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.door import Door

app = typer.Typer(help="Batches: the packs of one scanner session.", no_args_is_help=True)


@app.callback()
def _batch() -> None:
    """Batches: the packs of one scanner session."""


@app.command("ready")
def ready(ctx: typer.Context, folder: Annotated[Path, typer.Argument(help="A drop folder, or a scanner session's folder in it.")]) -> None:
    """Give notice that a folder's scans are complete; the batch completes when its last pack comes to rest."""
    with plain_errors():
        answer = Door(ctx.obj.settings()).order("/batches/ready", folder=str(folder.absolute()))
        Console(highlight=False).print(Text(f"batch {answer['batch']} is {answer['state']}"))
