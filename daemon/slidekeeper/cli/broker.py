"""``broker lookup|reveal|rotate-key|log``: the honest broker's door to the linking table; every use is journaled first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.bootstrap.broker import Audit, calling_user, find_numbers, record_use, reveal_numbers, rotate_key
from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json, print_rows
from slidekeeper.errors import Refused
from slidekeeper.messages.events import IdentityRevealed, IdentitySought
from slidekeeper.model.broker import checked_reason
from slidekeeper.model.concealed import Concealed
from slidekeeper.model.contract import Domain
from slidekeeper.ports.desk import BrokerUse
from slidekeeper.ports.linking import Revealed
from slidekeeper.settings.loader import Settings

app = typer.Typer(
    help="Between identifiers and numbers, for the honest broker; every use is journaled with its reason.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option(help="Why; at least 10 characters. It is journaled: name nobody in it.")]
USES = ("identity.sought", "identity.revealed", "key.rotated", "consent.withdrawn", "slides.removed")
"""Event types of `broker log`."""
LOG_COLUMNS = {"time": "time (UTC)", "use": "use", "by": "by", "asked": "how many", "reason": "reason"}


@app.command("lookup")
def lookup(
    ctx: typer.Context,
    domain: Annotated[Domain, typer.Option(help="What the identifiers are.")],
    reason: Reason,
    values: Annotated[list[str] | None, typer.Argument(metavar="[VALUE]...", help="Identifiers; else lines of standard input.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look up the numbers of identifiers: barcodes or original file names, cases, patients. Ends with 4 when one has none."""
    with plain_errors():
        settings, wanted = ctx.obj.settings(), _asked(values)
        use = IdentitySought(by=calling_user(), reason=checked_reason(reason, wanted), asked=len(wanted))
        numbers = find_numbers(settings, domain, [Concealed(value) for value in wanted], _audit(settings, use))
        rows = [{"value": _printable(value), "number": number} for value, number in zip(wanted, numbers, strict=True)]
        _print(rows, {"value": domain.value, "number": "number"}, as_json)
        _end_unless_all(numbers)


@app.command("reveal")
def reveal(
    ctx: typer.Context,
    reason: Reason,
    numbers: Annotated[list[str] | None, typer.Argument(metavar="[NUMBER]...", help="Numbers; else lines of standard input.")] = None,
    as_json: AsJson = False,
) -> None:
    """Reveal whom numbers stand for: identifies patients. Ends with 4 when one stands for nobody."""
    with plain_errors():
        settings, wanted = ctx.obj.settings(), _asked(numbers)
        use = IdentityRevealed(by=calling_user(), reason=checked_reason(reason), asked=len(wanted))
        revealed = reveal_numbers(settings, wanted, _audit(settings, use))
        rows = [_revealed_row(number, revealed.get(number)) for number in wanted]
        columns = {"number": "number", "domain": "domain", "identifier": "identifier", "original_names": "original names"}
        _print(rows if as_json else [row | {"original_names": ", ".join(row["original_names"])} for row in rows], columns, as_json)
        _end_unless_all([revealed.get(number) for number in wanted])


@app.command("rotate-key")
def rotate(
    ctx: typer.Context,
    new_key: Annotated[Path, typer.Option(metavar="FILE", help="File of the new key; drawn when it is not there.")],
    reason: Reason,
) -> None:
    """Seal the linking table under a new key; the daemon must be stopped. After a crash, repeat it with the same FILE."""
    with plain_errors():
        rotation = rotate_key(ctx.obj.settings(), new_key, reason)
        console = Console(highlight=False)
        console.print(Text(f"the linking table is sealed under key {rotation.version}, which is in its place now"), soft_wrap=True)
        console.print(
            Text(f"the old key is {rotation.retired}: it still opens older backups; keep both away from this machine"), soft_wrap=True
        )


@app.command("log")
def log(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many, the newest.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List who passed the door, when, why and for how many; oldest first."""
    with plain_errors():
        params = {"after": -1, "limit": limit, "type": list(USES)}
        events = Door(ctx.obj.settings()).ask("/events", params, lambda desk: desk.events(-1, limit, USES))
        rows = [{"time": each["time"], "use": str(each["type"]).removeprefix("slidekeeper."), **each["data"]} for each in events]
        _print(rows, LOG_COLUMNS, as_json)


def _audit(settings: Settings, use: BrokerUse) -> Audit:
    """Journal the use through the daemon, or straight where none runs."""

    def audit() -> None:
        kind = "lookup" if isinstance(use, IdentitySought) else "reveal"
        claimed = os.environ.get("SUDO_USER", "")
        try:
            Door(settings).order("/broker/uses", by=claimed, use=kind, reason=use.reason, asked=use.asked)
        except Refused as refused:
            if refused.reason != "daemon-not-running":
                raise
            record_use(settings, use)

    return audit


def _asked(arguments: Sequence[str] | None) -> list[str]:
    """What was given on the command line, else the lines of standard input: those stay out of the shell's history."""
    if arguments:
        return list(arguments)
    text = typer.get_binary_stream("stdin").read().decode("utf-8", "surrogateescape")
    lines = [line.removesuffix("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise Refused("nothing-asked", "neither arguments nor lines on standard input", "Give one value a line")
    return lines


def _revealed_row(number: str, revealed: Revealed | None) -> dict[str, Any]:
    if revealed is None:
        return {"number": number, "domain": None, "identifier": None, "original_names": []}
    names = [_printable(name.reveal()) for name in revealed.original_names]
    return {
        "number": number,
        "domain": revealed.domain.value,
        "identifier": _printable(revealed.identifier.reveal()),
        "original_names": names,
    }


def _printable(text: str) -> str:
    """Bytes that are no UTF-8 as question marks: a terminal and JSON cannot show them."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _print(rows: Sequence[dict[str, Any]], columns: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, columns, "Nobody has passed yet.")


def _end_unless_all(answers: Sequence[object]) -> None:
    if any(answer is None for answer in answers):
        raise typer.Exit(Exit.NOT_FOUND)
