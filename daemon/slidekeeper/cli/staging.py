"""``stage`` and ``staging list|show|release|retry|verify``: cohorts on their way to a tier, there, and gone again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text

from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json, print_rows, size
from slidekeeper.errors import Refused

app = typer.Typer(help="Stagings: cohorts on a tier.", no_args_is_help=True)

POLL_SECONDS = 0.3
ENDS = frozenset({"ready", "quarantined", "released", "removed"})
LISTED = {
    "name": "name",
    "state": "state",
    "tier": "tier",
    "slides": "slides",
    "size": "size",
    "reason": "reason",
    "waits_for": "waits for",
    "updated": "since (UTC)",
}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
NameArgument = Annotated[str, typer.Argument(help="Name of the staging.")]


def register(app: typer.Typer) -> None:
    """Add the command ``stage``."""
    app.command("stage")(stage)


def stage(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="What the staging is to be called; also its folder on the tier.")],
    where: Annotated[
        str,
        typer.Option("--where", metavar="SQL", help='Condition on slides and their records, as in "magnification = 40".'),
    ] = "",
    numbers: Annotated[
        Path | None,
        typer.Option("--numbers", metavar="FILE", help="Slide numbers, one a line, instead of a condition; - reads standard input."),
    ] = None,
    tier: Annotated[str, typer.Option("--tier", help="The tier to copy to.")] = "flash",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell how many slides and bytes that are, and whether they fit.")] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Show the progress, and end when it is ready.")] = True,
    as_json: AsJson = False,
) -> None:
    """Copy a cohort from the bucket to a tier, verified. Ordered again with the same cohort, it goes on, or is ready already."""
    with plain_errors():
        door = Door(ctx.obj.settings())
        order = {"name": name, "tier": tier, "where": where, "numbers": _numbers(numbers)}
        if dry_run:
            _show_preview(door.order("/stagings", preview=True, **order), as_json)
            return
        answer = door.order("/stagings", **order)
        if follow:
            answer = _follow(door, answer, show=not as_json)
        _tell(answer, as_json)


def _numbers(file: Path | None) -> Sequence[str]:
    if file is None:
        return []
    try:
        text = typer.get_text_stream("stdin").read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError):
        raise Refused("unreadable-file", "the list of slide numbers cannot be read", "Give a text file with one number a line") from None
    numbers = text.split()
    if not numbers:
        raise Refused("empty-cohort", "the list names no slide", "Give a text file with one number a line")
    return numbers


def _show_preview(answer: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        facts = {"slides": answer["slides"], "size": size(answer["size"]), "free on the tier": size(max(0, answer["free"]))}
        facts |= {"there already": answer["there"] or "no"}
        print_rows([{"fact": fact, "value": value} for fact, value in facts.items()], {"fact": "fact", "value": "value"}, "")
    refused = answer["refused"]
    if refused:
        raise Refused(refused["reason"], refused["detail"], refused["remedy"])


def _follow(door: Door, answer: Mapping[str, Any], show: bool) -> Mapping[str, Any]:
    """Show how far the copy is until it ends; returns the staging as it is then."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not show) as bars:
        bar = bars.add_task(str(answer["name"]), total=answer["size"])
        while answer["state"] not in ENDS:
            time.sleep(POLL_SECONDS)
            answer = _named(door, str(answer["name"]))
            progress = answer["progress"]
            if progress:
                bars.update(bar, completed=progress["bytes"])
            waits = answer["waits_for"] and f"{answer['name']}: waits for {answer['waits_for']}"
            bars.update(bar, description=waits or str(answer["name"]))
        if answer["state"] == "ready":
            bars.update(bar, completed=answer["size"])
    return answer


def _named(door: Door, name: str) -> Mapping[str, Any]:
    answer = door.ask(f"/stagings/{name}", {}, lambda desk: desk.staging(name))
    if answer is None:
        raise Refused("unknown-staging", "there is no staging of this name", "See `slidekeeper staging list`")
    return answer


def _tell(answer: Mapping[str, Any], as_json: bool) -> None:
    """Say how it stands; a copy that was given up is a failure."""
    if as_json:
        print_json(answer)
    else:
        said = f"{answer['name']} is {answer['state']}: {answer['slides']} slides, {size(answer['size'])}"
        Console(highlight=False).print(Text(said), soft_wrap=True)
    if answer["state"] == "quarantined":
        raise Refused(answer["reason"], answer["detail"], "Mend it, then `slidekeeper staging retry`, or release it")


@app.callback()
def _stagings() -> None:
    """Stagings: cohorts on a tier."""


@app.command("list")
def list_stagings(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are gone.")] = False,
    after: Annotated[str, typer.Option(help="Continue behind this staging id.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the stagings on the tiers, and those on their way."""
    with plain_errors():
        asked = {"after": after, "limit": limit, "removed": str(everything).lower()}
        rows = Door(ctx.obj.settings()).ask("/stagings", asked, lambda desk: desk.stagings(after, limit, everything))
        if as_json:
            print_json(rows)
        else:
            print_rows(rows, LISTED, "Nothing is staged. See `slidekeeper stage --help`.")


@app.command("show")
def show_staging(ctx: typer.Context, name: NameArgument, as_json: AsJson = False) -> None:
    """Show one staging: how it was chosen, where it stands, how far its copy is."""
    with plain_errors():
        answer = _named(Door(ctx.obj.settings()), name)
        if as_json:
            print_json(answer)
        else:
            print_rows(list(_facts(answer)), {"fact": "fact", "value": "value"}, "")


def _facts(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key, value in answer.items():
        if isinstance(value, Mapping):
            yield from ({"fact": f"{key}: {inner}", "value": each} for inner, each in value.items())
        else:
            yield {"fact": key, "value": size(value) if key in ("size", "copied") and value is not None else value}


@app.command("release")
def release_staging(
    ctx: typer.Context,
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the journal.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a staging go: its copy is stopped where it runs, and what it lists is removed from the tier."""
    with plain_errors():
        _tell(Door(ctx.obj.settings()).order(f"/stagings/{name}/release", reason=reason), as_json)


@app.command("retry")
def retry_staging(ctx: typer.Context, name: NameArgument, as_json: AsJson = False) -> None:
    """Try a held staging again; what was verified is not copied again."""
    with plain_errors():
        _tell(Door(ctx.obj.settings()).order(f"/stagings/{name}/retry"), as_json)


@app.command("verify")
def verify(
    ctx: typer.Context,
    name: NameArgument,
    exact: Annotated[bool, typer.Option("--exact", help="Read every byte, and find whatever is not in the manifest.")] = False,
    tier: Annotated[str, typer.Option("--tier", help="The tier it lies on.")] = "flash",
    root: Annotated[Path | None, typer.Option("--root", help="The tier's folder; then no settings are needed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove that a staging is what its manifest says; exit code 0 if so. Needs no daemon: made for training jobs."""
    from slidekeeper.bootstrap.staging import verify_staging

    with plain_errors():
        findings = verify_staging(root or _root(ctx, tier), name, exact)
        rows = [{"target": finding.target, "problem": finding.problem} for finding in findings]
        if as_json:
            print_json(rows)
        else:
            print_rows(rows, {"target": "file", "problem": "problem"}, f"{name} is as its manifest says.")
        if rows:
            raise typer.Exit(Exit.FAILED)


def _root(ctx: typer.Context, tier: str) -> Path:
    tiers = ctx.obj.settings().tier
    if tier not in tiers:
        raise Refused("unknown-tier", "the settings have no tier of this name", f"Tiers are: {', '.join(tiers) or 'none'}")
    path: Path = tiers[tier].path
    return path
