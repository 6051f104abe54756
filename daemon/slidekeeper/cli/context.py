"""What every command needs: the settings, and one way to end with an exit code that means something."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from slidekeeper.errors import Refused, SlidekeeperError
from slidekeeper.settings.loader import Settings, load_settings

PLACES = (Path("slidekeeper.toml"), Path("/etc/slidekeeper/slidekeeper.toml"))


class Exit(enum.IntEnum):
    """Exit codes; 2 is the shell's word for wrong usage and comes from the option parser."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    NOT_FOUND = 4


EXITS = {"daemon-not-running": Exit.NOT_RUNNING, "unknown-pack": Exit.NOT_FOUND, "unknown-slide": Exit.NOT_FOUND}


@dataclass(frozen=True, slots=True)
class Context:
    """The options that stand before the command."""

    config: Path | None

    def settings(self) -> Settings:
        """Load the settings.

        Raises:
            Refused: there is no settings file, or it is wrong.
        """
        file = self.config or next((place for place in PLACES if place.is_file()), None)
        if file is None:
            raise Refused(
                "no-settings", "no slidekeeper.toml here or in /etc/slidekeeper", "Run `slidekeeper init DIR` or give --config FILE"
            )
        return load_settings(file)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors made for people into one line on standard error and an exit code; anything else is a fault and shows as one."""
    try:
        yield
    except SlidekeeperError as error:
        console = Console(stderr=True, highlight=False)
        console.print(f"[bold red]{error.reason}[/]", error.detail, markup=True, soft_wrap=True)
        if error.remedy:
            console.print(error.remedy, markup=False, soft_wrap=True)
        raise typer.Exit(EXITS.get(error.reason, Exit.FAILED)) from None
