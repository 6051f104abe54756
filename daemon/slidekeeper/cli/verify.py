"""``verify --versions``: fixity of everything that is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.cli.context import Exit, plain_errors
from slidekeeper.cli.render import print_json, print_rows

if TYPE_CHECKING:
    from slidekeeper.ports.snapshots import Versions
    from slidekeeper.settings.loader import Settings
    from slidekeeper.steps.versions.standing import VersionId


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    ctx: typer.Context,
    versions: Annotated[bool, typer.Option("--versions", help="Verify every version, each object once.")] = False,
    heal: Annotated[bool, typer.Option("--heal", help="Replace what is damaged by the first replica's that is sound.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read what is stored, and tell what is damaged. Exit code 1 when something is."""
    from slidekeeper.bootstrap.versions import open_versions
    from slidekeeper.steps.versions.verification import all_versions

    if not versions:
        raise typer.BadParameter("say what to verify: --versions")
    with plain_errors():
        settings = ctx.obj.settings()
        store = open_versions(settings)
        print_verified(settings, store, all_versions(store), heal, as_json)


def print_verified(settings: Settings, store: Versions, chosen: Sequence[VersionId], heal: bool, as_json: bool) -> None:
    """Verify versions and print what was found.

    Raises:
        typer.Exit: something is damaged, and was not healed.
    """
    from slidekeeper.bootstrap.versions import open_upkeep
    from slidekeeper.steps.versions.verification import verify_versions

    upkeep = open_upkeep(settings)
    found = verify_versions(store, chosen, lambda key: upkeep.check(key, lambda _: None))
    healed = {damage.key for damage in found.damages if heal and upkeep.heal(damage.key)}
    damages = [{"object": damage.key, "damage": damage.reason, "healed": damage.key in healed} for damage in found.damages]
    affected = [{"version": f"{version.project}@v{version.version}", "objects": count} for version, count in found.affected.items()]
    if as_json:
        print_json({"versions": len(chosen), "objects": found.objects, "damages": damages, "affected": affected})
    else:
        Console(highlight=False).print(Text(f"{len(chosen)} versions, {found.objects:,} objects"))
        print_rows(damages, {"object": "object", "damage": "damage", "healed": "healed"}, "Every object is what its name says.")
        if affected:
            print_rows(affected, {"version": "version", "objects": "damaged objects"}, "")
    if len(healed) < len(found.damages):
        raise typer.Exit(Exit.FAILED)
