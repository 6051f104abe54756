"""``restore VERSION --to DIR``: a version, a part or a file of it comes back; verified while it is copied, without a daemon."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.progress import Bar, summary
from slidekeeper.cli.render import print_json

if TYPE_CHECKING:
    from slidekeeper.model.version import VersionDocument
    from slidekeeper.steps.restore.restore import Restored

NAMED = 20
"""So many paths are named; --json names all."""


class Part(enum.StrEnum):
    """Which folder of a version is restored."""

    ALL = "all"
    ARTIFACTS = "artifacts"
    CODE = "code"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("restore")(restore)


def restore(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="PROJECT, PROJECT@v3 or PROJECT@RUN; the newest where several fit.")],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Where to; made where it is not there.")],
    path: Annotated[
        list[str] | None, typer.Option("--path", metavar="GLOB", help="Only such paths; ** is any depth; again for more.")
    ] = None,
    part: Annotated[Part, typer.Option(help="One folder of the version alone, which DIR then becomes.")] = Part.ALL,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Overwrite files in DIR that differ; leave all others.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace DIR as a whole; it is kept until everything is restored.")] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Files that are copied at once.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring a version back. Repeated after an interruption, it copies only what is not there yet."""
    from slidekeeper.bootstrap.versions import open_replicas, open_versions
    from slidekeeper.model.version import parse_reference
    from slidekeeper.steps.restore.restore import Watch, Wish
    from slidekeeper.steps.restore.restore import restore as carry_out

    with plain_errors():
        settings = ctx.obj.settings()
        store = open_versions(settings)
        document = store.find(parse_reference(version))
        wish = Wish(to, part.value, tuple(path or ()), overwrite, replace, threads)
        with Bar("restored", quiet=as_json) as bar:
            watch = Watch(lambda totals: bar.begin(totals.size), bar.advance)
            done = carry_out(document, [store, *open_replicas(settings)], wish, watch)
        _tell(document, done, as_json)
        if not done.complete:
            raise typer.Exit(Exit.FAILED)


def _tell(document: VersionDocument, done: Restored, as_json: bool) -> None:
    name = f"{document.project}@v{document.version}"
    troubles = {"missing": done.missing, "damaged": done.damaged, "differing": done.differing}
    named = {kind: [path.decode("utf-8", "backslashreplace") for path in paths] for kind, paths in troubles.items()}
    if as_json:
        facts = {"version": name, "files": done.files, "size": done.size, "verified": done.verified, "links": done.links}
        print_json({**facts, "seconds": done.seconds, "complete": done.complete, **named})
        return
    console = Console(highlight=False)
    there = f"; {done.verified:,} were there already" if done.verified else ""
    console.print(Text(f"{name}: {done.files:,} files, {summary(done.size, done.seconds)}{there}"), soft_wrap=True)
    for kind, text in {
        "missing": "was not in the version",
        "damaged": "is damaged in the store and in every replica: not restored",
        "differing": "differs from the version, was left as it is",
    }.items():
        for path in named[kind][:NAMED]:
            console.print(Text(f"{ascii(path)[1:-1]} {text}"), soft_wrap=True)
        if len(named[kind]) > NAMED:
            console.print(Text(f"{len(named[kind]) - NAMED:,} more of these; --json names all", style="dim"), soft_wrap=True)
