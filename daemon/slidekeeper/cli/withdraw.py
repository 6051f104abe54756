"""``withdraw NUMBER...``: consent is withdrawn; slides, records and links of the patient are removed everywhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json
from slidekeeper.errors import Refused

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 600.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("withdraw")(withdraw)


def withdraw(
    ctx: typer.Context,
    numbers: Annotated[list[str], typer.Argument(help="Numbers of slides or patients, 12 digits each.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove slides and patients everywhere: bucket, records, catalog, published files, linking table. Cannot be undone."""
    with plain_errors():
        if not yes:
            typer.confirm("Slides and records of these patients will be removed for good. Withdraw?", abort=True)
        door = Door(ctx.obj.settings())
        ordered = door.order("/withdrawals", numbers=numbers)
        done = _wait(door, ordered["withdrawal"])
        if as_json:
            print_json(done)
        else:
            text = f"withdrawal {done['withdrawal']}: {done['slides']} slides, {done['revisions']} revisions, {done['rows']} rows removed"
            Console(highlight=False).print(Text(text))
            for version in done["versions"]:
                Console(highlight=False).print(Text(f"trained on one of them, and kept: {version}"))


def _wait(door: Door, withdrawal: str) -> Mapping[str, Any]:
    """The withdrawal once it is carried out."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = door.ask("/withdrawals", {}, lambda desk: desk.withdrawals())
        for answer in found:
            if answer["withdrawal"] == withdrawal and answer["state"] == "removed":
                return answer
        time.sleep(POLL_SECONDS)
    raise Refused("still-under-way", "the withdrawal is ordered, and goes on", "See `slidekeeper events --type consent.withdrawn`")
