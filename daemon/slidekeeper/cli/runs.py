"""``runs list|show|retry``, ``protect`` and ``cleanup``: training runs, from their folder to their version and back to nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json, print_rows, readable
from slidekeeper.errors import Refused

app = typer.Typer(help="Training runs: what is being trained, protected and cleaned.", no_args_is_help=True)

LISTED = {
    "run": "run",
    "state": "state",
    "project": "project",
    "name": "name",
    "version": "version",
    "reason": "reason",
    "updated": "since (UTC)",
}
FOUND = {"path": "path", "size": "size", "fate": "fate", "why": "why"}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunArgument = Annotated[str, typer.Argument(help="Run id; `slidekeeper runs list` tells it.")]


def register(root: typer.Typer) -> None:
    """Add the commands that stand by themselves."""
    for command in (protect, cleanup):
        root.command(command.__name__)(command)


@app.callback()
def _runs() -> None:
    """Training runs: what is being trained, protected and cleaned."""


@app.command("list")
def list_runs(
    ctx: typer.Context,
    after: Annotated[str, typer.Option(help="Continue behind this run id.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List training runs and where they stand."""
    with plain_errors():
        rows = Door(ctx.obj.settings()).ask("/runs", {"after": after, "limit": limit}, lambda desk: desk.runs(after, limit))
        if as_json:
            print_json(rows)
        else:
            print_rows([{**row, "name": readable(row["name"])} for row in rows], LISTED, "No runs yet. They appear with their folders.")


@app.command("show")
def show_run(ctx: typer.Context, run: RunArgument, as_json: AsJson = False) -> None:
    """Show one run: its folder, what its done-marker says, its version."""
    with plain_errors():
        answer = Door(ctx.obj.settings()).ask(f"/runs/{run}", {}, lambda desk: desk.run(run))
        if answer is None:
            raise Refused("unknown-run", f"there is no run {run[:12]}", "See `slidekeeper runs list`")
        if as_json:
            print_json(answer)
        else:
            print_rows(list(_facts(answer)), {"fact": "fact", "value": "value"}, "")


@app.command("retry")
def retry_run(ctx: typer.Context, run: RunArgument) -> None:
    """Try again what was given up: protection or cleanup."""
    with plain_errors():
        _print_state(Door(ctx.obj.settings()).order(f"/runs/{run}/retry"))


def protect(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The run's folder.")],
    project: Annotated[str, typer.Option("--project", help="The time series it belongs to; a training root tells it by itself.")] = "",
    code: Annotated[list[Path] | None, typer.Option("--code", metavar="DIR", help="A folder of source code; may be given again.")] = None,
    status: Annotated[str, typer.Option("--status", help="succeeded or failed.")] = "succeeded",
    message: Annotated[str, typer.Option("--message", help="What people shall read beside the version.")] = "",
    staging: Annotated[str, typer.Option("--staging", help="Name of the staging it trained on.")] = "",
) -> None:
    """Protect a run's folder by hand, as its done-marker would."""
    with plain_errors():
        marker = {"status": status, "message": message, "code": [str(each.absolute()) for each in code or ()], "staging": staging}
        if status not in ("succeeded", "failed"):
            raise typer.BadParameter("must be succeeded or failed", param_hint="--status")
        order = {"folder": str(folder.absolute()), "project": project, "marker": marker}
        _print_state(Door(ctx.obj.settings()).order("/runs/done", **order))


def cleanup(
    ctx: typer.Context,
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="Run id.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be removed and what would be left.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove a protected run from its training root, once its version has been verified anew."""
    with plain_errors():
        if dry_run:
            _print_preview(ctx, run, as_json)
            return
        answer = Door(ctx.obj.settings()).order(f"/runs/{run}/clean")
        if as_json:
            print_json(answer)
        else:
            _print_state(answer)


def _print_preview(ctx: typer.Context, run: str, as_json: bool) -> None:
    from slidekeeper.bootstrap.runs import preview_cleaning
    from slidekeeper.model.run import RunId

    found = asyncio.run(preview_cleaning(ctx.obj.settings(), RunId(run)))
    rows = [{"path": readable(each.path), "size": each.size, "fate": "removed" if each.own else "left", "why": each.why} for each in found]
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, FOUND, "Nothing is there any more.")


def _print_state(answer: Mapping[str, Any]) -> None:
    text = f"{answer['run']} ({answer['project']}/{readable(answer['name'])}) is {answer['state']}"
    Console(highlight=False).print(Text(text), soft_wrap=True)


def _facts(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rows of a table about one run."""
    for key, value in answer.items():
        if isinstance(value, Mapping):
            yield from ({"fact": f"{key}: {inner}", "value": readable(str(told))} for inner, told in value.items())
        else:
            yield {"fact": key, "value": readable(value) if isinstance(value, str) else value}
