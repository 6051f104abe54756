"""``anonymize SRC DST``: one shot, no daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.render import print_json, print_rows

PIECES = {"offset": "offset", "length": "length", "action": "action", "why": "why"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("anonymize")(anonymize)


def anonymize(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A slide file, a pack's folder, or a folder of packs.")],
    target: Annotated[Path | None, typer.Argument(metavar="DST", help="The new file for a slide file; else a new folder.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Only print the plan: each range kept, given or zeroed, and why.")] = False,
) -> None:
    """Anonymize and prove; print a JSON report. Fails without any output when a slide cannot be proven clean."""
    from slidekeeper.bootstrap.oneshot import anonymize_once, explain_once

    with plain_errors():
        if explain:
            print_rows(explain_once(source), PIECES, "")
            return
        if target is None:
            raise typer.BadParameter("DST is missing")
        report = anonymize_once(source, target)
        print_json(report)
        if any(entry.get("failed") for entry in report["slides"]):
            raise typer.Exit(Exit.FAILED)
