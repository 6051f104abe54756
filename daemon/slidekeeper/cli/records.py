"""``records list|show|retry|check``: batches of records and their alignment; what a contract says to a file, before it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json, print_rows
from slidekeeper.errors import Refused

if TYPE_CHECKING:
    from slidekeeper.steps.records.checking import CheckReport

app = typer.Typer(help="Records: the CSV files that come with a batch.", no_args_is_help=True)

COLUMNS = {"line": "line", "column": "column", "code": "code"}
LISTED = {
    "records": "records",
    "state": "state",
    "revision": "revision",
    "batch": "batch",
    "rows": "rows",
    "rejected": "rejected",
    "matched": "matched",
    "unmatched": "unmatched",
    "reason": "reason",
    "waits_for": "waits for",
    "updated": "since (UTC)",
}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RecordsArgument = Annotated[str, typer.Argument(help="Records id.")]


@app.callback()
def _records() -> None:
    """Records: the CSV files that come with a batch."""


@app.command("list")
def list_records(
    ctx: typer.Context,
    after: Annotated[str, typer.Option(help="Continue behind this records id.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the records of each batch: where they stand, rows that came through, rows that found their slide."""
    with plain_errors():
        door = Door(ctx.obj.settings())
        rows = door.ask("/records", {"after": after, "limit": limit}, lambda desk: desk.records(after, limit))
        if as_json:
            print_json(rows)
        else:
            print_rows([_summary(row) for row in rows], LISTED, "No records yet. They appear once CSV files lie in the records folder.")


@app.command("show")
def show_records(
    ctx: typer.Context,
    records: RecordsArgument,
    findings: Annotated[bool, typer.Option("--findings", help="List the rows that found no slide instead, by source and line.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many findings.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show one batch's records: every revision, what was rejected by code, what did not match."""
    with plain_errors():
        if findings:
            _show_findings(Door(ctx.obj.settings()), records, limit, as_json)
            return
        answer = Door(ctx.obj.settings()).ask(f"/records/{records}", {}, lambda desk: desk.record(records))
        if answer is None:
            raise Refused("unknown-records", f"there are no records {records[:12]}", "See `slidekeeper records list`")
        if as_json:
            print_json(answer)
        else:
            print_rows(list(_facts(answer)), {"fact": "fact", "value": "value"}, "")


def _show_findings(door: Door, records: str, limit: int, as_json: bool) -> None:
    rows = door.ask(f"/records/{records}/findings", {"limit": limit}, lambda desk: desk.findings(records, limit))
    if as_json:
        print_json(rows)
    else:
        print_rows(rows, {"source": "source", "row": "line", "problem": "finding", "reference": "number"}, "Every row found its slide.")


@app.command("retry")
def retry_records(
    ctx: typer.Context,
    records: RecordsArgument,
    reviewed: Annotated[bool, typer.Option("--reviewed", help="The sample of scrubbed texts was read, and names nobody.")] = False,
) -> None:
    """Try held records again, from settling on."""
    with plain_errors():
        answer = Door(ctx.obj.settings()).order(f"/records/{records}/retry", reviewed=reviewed)
        Console(highlight=False).print(Text(f"{answer['records']} is {answer['state']} again"))


def _summary(row: Mapping[str, Any]) -> Mapping[str, Any]:
    aligned = row["aligned"]
    unmatched = sum(count for finding, count in aligned.items() if finding not in {"matched", "slide-without-row"})
    return {**row, "matched": aligned.get("matched", 0), "unmatched": unmatched}


def _facts(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The rows of a table about one batch's records."""
    yield from ({"fact": key, "value": value} for key, value in answer.items() if key != "history")
    for revision in answer["history"]:
        number = revision["revision"]
        for source in revision["sources"] or ():
            rejected = ", ".join(f"{code} {count}" for code, count in source["rejected"].items()) or "none"
            told = f"{source['rows']} rows; rejected: {rejected}; in small cells: {source['small_cells']}"
            yield {"fact": f"revision {number}, {source['source']}", "value": told}
        counts = ", ".join(f"{finding} {count}" for finding, count in (revision["counts"] or {}).items())
        yield {"fact": f"revision {number}, alignment", "value": counts or "none yet"}


@app.command("check")
def check(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The CSV file.")],
    contract: Annotated[str, typer.Option("--contract", metavar="C", help="A contract's TOML file, or a source's name.")],
    limit: Annotated[int, typer.Option(min=1, help="List at most so many faults; all are counted.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every fault.")] = False,
) -> None:
    """Tell by line, column and code what is wrong with a file. Prints no cell of it."""
    from slidekeeper.bootstrap.checking import check_records

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
