"""``versions list|show|diff|verify|export|hold|free``: what runs became. Reading needs the bucket only, no daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import plain_errors
from slidekeeper.cli.door import Door
from slidekeeper.cli.render import print_json, print_rows, size
from slidekeeper.cli.verify import print_verified
from slidekeeper.errors import Refused

if TYPE_CHECKING:
    from slidekeeper.model.version import VersionDocument
    from slidekeeper.ports.snapshots import Listed, Versions
    from slidekeeper.steps.versions.diff import Difference

app = typer.Typer(help="Versions: immutable snapshots of training runs.", no_args_is_help=True)

LISTED = {
    "version": "version",
    "run": "run",
    "status": "status",
    "files": "files",
    "size": "size",
    "added": "added",
    "missing": "missing",
    "created": "created (UTC)",
    "message": "message",
}
NANOSECONDS = 1_000_000_000
SIGNS = {"added": "+", "removed": "-", "changed": "M", "touched": "t", "moved": ">"}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="PROJECT, PROJECT@v3 or PROJECT@RUN; the newest where several fit.")]


@app.command("list")
def list_versions(
    ctx: typer.Context,
    project: Annotated[str, typer.Argument(help="Only this project.")] = "",
    as_json: AsJson = False,
) -> None:
    """List versions, oldest first."""
    with plain_errors():
        store = _store(ctx)
        projects = [project] if project else store.projects()
        rows = [_facts(document) for name in projects for document in _documents(store, name)]
        if project and not rows:
            raise Refused("unknown-project", "no version of such a project is stored", "See `slidekeeper versions list`")
        if as_json:
            print_json(rows)
        else:
            told = [{**row, "size": size(row["size"]), "added": size(row["added"]), "created": row["created"][:19]} for row in rows]
            print_rows(told, LISTED, "No versions yet. A run becomes one when its done-marker appears.")


@app.command("show")
def show_version(
    ctx: typer.Context,
    version: Version,
    files: Annotated[bool, typer.Option("--files", help="List everything in it instead: mode, size, time, path.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; with --files one document a line.")] = False,
) -> None:
    """Show one version: what it was made of, by whom, and what it holds."""
    with plain_errors():
        store = _store(ctx)
        document = _find(store, version)
        if files:
            _print_lines(_listing(store, document, as_json))
        elif as_json:
            print_json(document.model_dump(mode="json"))
        else:
            facts = document.model_dump(mode="json", exclude={"format", "digest"})
            told = {
                **facts,
                "run": f"{document.run.name} ({document.run.folder})",
                "size": size(document.size),
                "added": size(document.added),
            }
            print_rows([{"fact": key, "value": value} for key, value in told.items()], {"fact": "fact", "value": "value"}, "")


@app.command("diff")
def diff_versions(
    ctx: typer.Context,
    before: Version,
    after: Annotated[str, typer.Argument(metavar="VERSION", help="The later version.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
) -> None:
    """Tell what changed between two versions: + added, - removed, M changed, t other mode or time, > moved."""
    from slidekeeper.steps.versions.diff import compare

    with plain_errors():
        store = _store(ctx)
        differences = compare(store.children, _find(store, before).tree, _find(store, after).tree)
        _print_lines(_json_of(found) if as_json else _line_of(found) for found in differences)


@app.command("verify")
def verify_version(
    ctx: typer.Context,
    version: Version,
    every: Annotated[bool, typer.Option("--all", help="All versions of the project.")] = False,
    heal: Annotated[bool, typer.Option("--heal", help="Replace what is damaged by the first replica's that is sound.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read everything a version is made of, each object once, and tell what is damaged."""
    from slidekeeper.steps.versions.standing import VersionId

    with plain_errors():
        store = _store(ctx)
        document = _find(store, version)
        numbers = store.numbers(document.project) if every else [document.version]
        print_verified(ctx.obj.settings(), store, [VersionId(document.project, number) for number in numbers], heal, as_json)


@app.command("export")
def export_versions(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(metavar="PROJECT[@vN]", help="All versions of a project, or one.")],
    ocfl: Annotated[Path, typer.Option("--ocfl", metavar="DIR", help="The folder to make: an OCFL 1.1 object.")],
    as_json: AsJson = False,
) -> None:
    """Write versions as an OCFL 1.1 object, which any archive can take in."""
    from slidekeeper.cli.progress import Bar
    from slidekeeper.steps.versions.export import export_ocfl

    with plain_errors():
        store = _store(ctx)
        found = _find(store, version)
        documents = [found] if "@" in version else list(_documents(store, found.project))
        with Bar("exported", quiet=as_json) as bar:
            bar.begin(sum(document.added for document in documents))
            done = export_ocfl(store, documents, ocfl.absolute(), bar.advance)
        if as_json:
            print_json({"versions": done.versions, "files": done.files, "size": done.size})
        else:
            _say(f"{done.versions} versions, {done.files:,} contents, {size(done.size)}: {ocfl}")


@app.command("hold")
def hold_version(
    ctx: typer.Context,
    version: Version,
    until: Annotated[datetime, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day on which nothing may remove it.")],
) -> None:
    """Keep a version until a day, whatever retention says."""
    with plain_errors():
        answer = Door(ctx.obj.settings()).order("/versions/hold", version=version, until=until.date().isoformat())
        _say(f"{answer['version']} is held until {answer['until']}")


@app.command("free")
def free_version(ctx: typer.Context, version: Version) -> None:
    """Lift a hold."""
    with plain_errors():
        answer = Door(ctx.obj.settings()).order("/versions/free", version=version)
        _say(f"{answer['version']} is no longer held")


def _store(ctx: typer.Context) -> Versions:
    from slidekeeper.bootstrap.versions import open_versions

    return open_versions(ctx.obj.settings())


def _find(store: Versions, version: str) -> VersionDocument:
    from slidekeeper.model.version import parse_reference

    return store.find(parse_reference(version))


def _documents(store: Versions, project: str) -> Iterator[VersionDocument]:
    return (store.document(project, number) for number in store.numbers(project))


def _facts(document: VersionDocument) -> Mapping[str, Any]:
    facts = document.model_dump(mode="json", include={"status", "files", "size", "added", "missing", "created", "message", "project"})
    return {"version": f"{document.project}@v{document.version}", "run": document.run.name, **facts}


def _listing(store: Versions, document: VersionDocument, as_json: bool) -> Iterator[str]:
    from slidekeeper.model.tree import DirectoryEntry, FileEntry, SymlinkEntry

    for listed in store.walk(document.tree):
        match listed.entry:
            case _ if as_json:
                yield _entry_json(listed)
            case FileEntry() as entry:
                yield f"-{entry.mode} {entry.size:>14} {entry.mtime // NANOSECONDS} {_text(listed.path)}"
            case DirectoryEntry() as entry:
                yield f"d{entry.mode} {entry.size:>14} {entry.mtime // NANOSECONDS} {_text(listed.path)}"
            case SymlinkEntry() as entry:
                yield f"l     {0:>14} {entry.mtime // NANOSECONDS} {_text(listed.path)}"
            case _:
                yield f"?     {0:>14} {0:>10} {_text(listed.path)}"


def _entry_json(listed: Listed) -> str:
    import msgspec

    return msgspec.json.encode({"path": listed.path.decode("utf-8", "replace"), "entry": listed.entry}).decode()


def _line_of(found: Difference) -> str:
    origin = f"   from {_text(found.origin)}" if found.origin else ""
    return f"{SIGNS[found.kind]} {_text(found.path)}{origin}"


def _json_of(found: Difference) -> str:
    path, origin = found.path.decode("utf-8", "replace"), found.origin.decode("utf-8", "replace")
    return json.dumps({"kind": found.kind.value, "path": path, "size": found.size, **({"origin": origin} if origin else {})})


def _text(path: bytes) -> str:
    """A path in one line that no terminal takes for an order."""
    text = path.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _print_lines(lines: Iterator[str]) -> None:
    """Many lines, a few thousand at a time."""
    from itertools import islice

    out = typer.get_text_stream("stdout")
    while portion := list(islice(lines, 5000)):
        out.write("\n".join(portion) + "\n")


def _say(text: str) -> None:
    Console(highlight=False).print(Text(text), soft_wrap=True)
