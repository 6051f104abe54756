"""``slidekeeper``: the commands and what stands before them.

Exit codes: 0 done, 1 failed or refused, 2 wrong usage, 3 the daemon does not run, 4 no such thing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slidekeeper import __version__
from slidekeeper.cli import (
    anonymize,
    batch,
    broker,
    events,
    quarantine,
    query,
    records,
    restore,
    retention,
    runs,
    site,
    slides,
    staging,
    tier,
    verify,
    versions,
    withdraw,
)
from slidekeeper.cli.context import Context

app = typer.Typer(
    name="slidekeeper",
    help="Anonymizes, catalogues, stages and protects pathology slides between scanners and a training cluster.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
site.register(app)
anonymize.register(app)
events.register(app)
query.register(app)
app.add_typer(slides.app, name="slides")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(batch.app, name="batch")
app.add_typer(records.app, name="records")
app.add_typer(runs.app, name="runs")
runs.register(app)
app.add_typer(tier.app, name="tier")
staging.register(app)
app.add_typer(staging.app, name="staging")
withdraw.register(app)
app.add_typer(broker.app, name="broker")
app.add_typer(versions.app, name="versions")
restore.register(app)
retention.register(app)
verify.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"slidekeeper {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    config: Annotated[
        Path | None, typer.Option(help="Settings file; else ./slidekeeper.toml or /etc/slidekeeper/slidekeeper.toml.")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting, as in engine.workers=4; may be given again.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    ctx.obj = Context(config, overrides or [])


def main() -> None:
    """Entry point of the ``slidekeeper`` script."""
    app()
