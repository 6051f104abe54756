"""``init``, ``check``, ``run``, ``status`` and ``rebuild``: the life of a site."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import cell, print_json, print_rows, size

STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (init, check, run, status, rebuild):
        app.command(command.__name__)(command)


def init(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the site shall live.")]) -> None:
    """Write settings, keys and folders of a new site that needs no server."""
    from slidekeeper.bootstrap.initialize import initialize_site

    with plain_errors():
        created = initialize_site(folder)
        console = Console(highlight=False)
        for path in created:
            console.print(Text(f"created {path}"), soft_wrap=True)
        console.print(Text(f"Start it: slidekeeper --config {folder / 'slidekeeper.toml'} run"), soft_wrap=True)


def check(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Examine settings, permissions, limits, disk and broker; say what to do."""
    from slidekeeper.bootstrap.doctor import check_site

    with plain_errors():
        findings = check_site(ctx.obj.settings())
        if as_json:
            print_json([{"level": found.level, "topic": found.topic, "text": found.text, "remedy": found.remedy} for found in findings])
        else:
            console = Console(highlight=False)
            for found in findings:
                console.print(Text(found.level, style=STYLES[found.level]), Text(f"{found.topic}: {found.text}"), soft_wrap=True)
                if found.remedy:
                    console.print(Text(f"   {found.remedy}", style="dim"), soft_wrap=True)
        if any(found.level == "error" for found in findings):
            raise typer.Exit(Exit.FAILED)


def run(ctx: typer.Context) -> None:
    """Run the daemon in the foreground, until SIGTERM or Ctrl+C."""
    from slidekeeper.bootstrap.daemon import run_daemon

    with plain_errors():
        run_daemon(ctx.obj.settings())


def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show counts per state, throughput, queues, disk and the newest troubles."""
    with plain_errors():
        answer = Door(ctx.obj.settings()).ask("/status", {}, lambda desk: desk.status())
        if as_json:
            print_json(answer)
        else:
            _print_status(answer)


def _print_status(answer: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    running = Text("running", style="green") if answer["running"] else Text("not running", style="yellow")
    console.print(Text(answer["site"], style="bold"), running, f"{answer.get('slides_per_minute', 0)} slides in the last minute")
    if answer.get("journal_trouble"):
        console.print(Text(f"journal waits: {answer['journal_trouble']}", style="bold red"))
    for place, reason in answer.get("suspended", {}).items():
        console.print(Text(f"{place} is suspended: {reason}", style="bold red"))
    packs = answer["packs"]
    print_rows([{"state": state, "packs": count} for state, count in packs.items()], {"state": "state", "packs": "packs"}, "No packs yet.")
    print_rows(answer.get("drops", []), _drop_columns(answer), "")
    _print_runs(console, answer)
    _print_replicas(console, answer)
    for name, disk in answer["disks"].items():
        console.print(Text(f"{name}: {size(disk['free'])} free of {size(disk['total'])}"))
    for event in answer["troubles"]:
        data = event["data"]
        what = " ".join(str(data[key]) for key in ("step", "reason", "detail") if data.get(key))
        console.print(Text(cell("time", event["time"]), style="yellow"), Text(f"{event['subject']} {what}"))


def _print_runs(console: Console, answer: Mapping[str, Any]) -> None:
    """Training runs per state, and what is wrong in their roots."""
    if answer["runs"]:
        console.print(Text("runs: " + ", ".join(f"{count} {state}" for state, count in answer["runs"].items())))
    for root in answer.get("training_roots", []):
        wrong = [f"{count} {reason}" for reason, count in root["misfits"].items()]
        wrong += [f"{root['unreadable_markers']} unreadable done-markers"] if root["unreadable_markers"] else []
        wrong += [f"away: {root['away']}"] if root["away"] else []
        if wrong:
            console.print(Text(f"{root['root']}: {', '.join(wrong)}", style="yellow"), soft_wrap=True)


def _print_replicas(console: Console, answer: Mapping[str, Any]) -> None:
    """How far each replica is behind: what would be lost with the bucket."""
    for replica in answer.get("replicas", []):
        behind = f"{replica['behind']} events behind, since {replica['oldest']}" if replica["behind"] else "up to date"
        problems = [f"{subject} is not copied: {reason}" for subject, reason in replica["problems"].items()]
        told = [behind, *([f"waits: {replica['trouble']}"] if replica["trouble"] else []), *problems]
        style = "yellow" if replica["trouble"] or problems else ""
        console.print(Text(f"replica {replica['replica']}: {', '.join(told)}", style=style), soft_wrap=True)


def _drop_columns(answer: Mapping[str, Any]) -> Mapping[str, str]:
    drops = answer.get("drops") or [{}]
    return {key: key.replace("_", " ") for key in drops[0]}


def rebuild(
    ctx: typer.Context,
    replica: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="A replica: copy it into the bucket first.")] = None,
) -> None:
    """Make the journal of a lost state anew from the bucket; restore `identified/` from its own backup before the next start."""
    import asyncio

    from slidekeeper.bootstrap.rebuilding import bring_back
    from slidekeeper.bootstrap.rebuilding import rebuild as rebuild_journal

    with plain_errors():
        settings = ctx.obj.settings()
        if replica:
            bring_back(settings, replica.absolute())
        rebuilt = asyncio.run(rebuild_journal(settings))
        text = f"rebuilt: {rebuilt.slides} slide revisions, records of {rebuilt.records} batches, {rebuilt.versions} versions"
        Console(highlight=False).print(Text(text), soft_wrap=True)
