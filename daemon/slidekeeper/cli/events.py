"""``events [--follow]``: the journal, live."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import cell, print_json

STYLES = {
    "quarantined": "bold red",
    "suspended": "bold red",
    "failed": "yellow",
    "stuck": "yellow",
    "catalogued": "green",
    "completed": "bold green",
}
ENVELOPE = {"type", "pack", "batch"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("events")(events)


def events(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events happen; end with Ctrl+C.")] = False,
    after: Annotated[int, typer.Option(help="Begin behind this sequence number; -1 shows the newest.")] = -1,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many, before following.")] = 20,
    types: Annotated[list[str] | None, typer.Option("--type", help="Only this type, such as slide.stored; may be given again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print CloudEvents, one JSON document a line when following.")] = False,
) -> None:
    """Show what happened, oldest first."""
    with plain_errors(), suppress(KeyboardInterrupt):
        door = Door(ctx.obj.settings())
        wanted = types or []
        past = door.ask("/events", {"after": after, "limit": limit, "type": wanted}, lambda desk: desk.events(after, limit, wanted))
        if as_json and not follow:
            print_json(past)
            return
        console = Console(highlight=False)
        for event in past:
            _show(console, event, as_json)
        if follow:
            newest = int(past[-1]["sequence"]) if past else max(after, 0)
            for event in door.follow(newest):
                if not wanted or event["type"].removeprefix("slidekeeper.") in wanted:
                    _show(console, event, as_json)


def _show(console: Console, event: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        console.print_json(data=event, indent=None)
        return
    kind = str(event["type"]).removeprefix("slidekeeper.")
    data = {key: value for key, value in event["data"].items() if key not in ENVELOPE}
    facts = data.pop("facts", None)
    if facts:
        data = {"number": facts["number"], "revision": facts["revision"], "format": facts["image"]["format"], "size": facts["size"]}
    details = "  ".join(f"{key}={cell(key, value)}" for key, value in data.items() if value not in ("", None))
    console.print(
        Text(f"{event['sequence']:>8} ", style="dim"),
        Text(cell("time", event["time"])),
        Text(f"{kind:<18}", style=STYLES.get(kind.partition(".")[2], "")),
        Text(str(event.get("subject", "")), style="cyan"),
        Text(details),
    )
