"""``records check``: what a contract says to a file, before it is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.bootstrap.checking import check_records
from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.render import print_json, print_rows
from slidekeeper.steps.records.checking import CheckReport

app = typer.Typer(help="Records: the CSV files that come with a batch.", no_args_is_help=True)

COLUMNS = {"line": "line", "column": "column", "code": "code"}


@app.callback()
def _records() -> None:
    """Records: the CSV files that come with a batch."""


@app.command("check")
def check(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file.")],
    contract: Annotated[str, typer.Option("--contract", metavar="C", help="A contract's TOML file, or a source's name.")],
    limit: Annotated[int, typer.Option(min=1, help="List at most so many faults; all are counted.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every fault.")] = False,
) -> None:
    """Tell by line, column and code what is wrong with a file. Prints no cell of it."""
    with plain_errors():
        report = check_records(file, contract, ctx.obj.settings)
        if as_json:
            print_json(report.as_json())
        else:
            _print_report(report, limit)
        if not report.clean:
            raise typer.Exit(Exit.FAILED)


def _print_report(report: CheckReport, limit: int) -> None:
    console = Console(highlight=False)
    if report.refusal is not None:
        console.print(Text(report.refusal.reason, style="bold red"), Text(report.refusal.detail), soft_wrap=True)
        console.print(Text(report.refusal.remedy, style="dim"), soft_wrap=True)
        return
    print_rows(report.rejects.head(limit).to_dicts(), COLUMNS, "Nothing is wrong.")
    if report.rejects.height > limit:
        console.print(Text(f"{report.rejects.height - limit:,} more faults; --limit or --json lists them", style="dim"))
    if not report.clean:
        console.print(Text(", ".join(f"{code}: {count:,}" for code, count in report.codes.items())), soft_wrap=True)
    console.print(Text(f"{report.rows:,} rows, {report.rejected:,} rejected"), soft_wrap=True)
