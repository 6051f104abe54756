"""What every command needs: the settings, and one way to end with an exit code that means something."""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from slidekeeper.errors import Refused, SettingsError, SlidekeeperError
from slidekeeper.settings.loader import Settings, load_settings

PLACES = (Path("slidekeeper.toml"), Path("/etc/slidekeeper/slidekeeper.toml"))


class Exit(enum.IntEnum):
    """Exit codes; 2 is the shell's word for wrong usage and comes from the option parser."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_RUNNING = 3
    NOT_FOUND = 4


UNKNOWN = (
    "unknown-pack",
    "unknown-slide",
    "unknown-records",
    "unknown-number",
    "unknown-version",
    "unknown-project",
    "unknown-run",
    "unknown-staging",
    "no-such-path",
)
EXITS = {"daemon-not-running": Exit.NOT_RUNNING, **dict.fromkeys(UNKNOWN, Exit.NOT_FOUND)}


@dataclass(frozen=True, slots=True)
class Context:
    """The options that stand before the command."""

    config: Path | None
    overrides: Sequence[str] = ()
    """Settings from the command line, ``engine.workers=4``."""

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
        return load_settings(file, overrides=dict(_override(text) for text in self.overrides))


def _override(text: str) -> tuple[str, Any]:
    """A dotted key and its value: as TOML would read it, or as the text it is."""
    key, separator, value = text.partition("=")
    if not separator:
        raise SettingsError("wrong-settings", f"command line: {text}: no value", "Give --set KEY=VALUE")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors made for people into one line on standard error and an exit code; anything else is a fault and shows as one."""
    try:
        yield
    except (SlidekeeperError, BaseExceptionGroup) as trouble:
        error = _for_people(trouble)
        if error is None:
            raise
        console = Console(stderr=True, highlight=False)
        console.print(Text(error.reason, style="bold red"), Text(error.detail), soft_wrap=True)
        if error.remedy:
            console.print(Text(error.remedy), soft_wrap=True)
        raise typer.Exit(EXITS.get(error.reason, Exit.FAILED)) from None


def _for_people(trouble: BaseException) -> SlidekeeperError | None:
    """The first error that is made for people, where nothing else went wrong; the daemon's tasks fail in groups."""
    if not isinstance(trouble, BaseExceptionGroup):
        return trouble if isinstance(trouble, SlidekeeperError) else None
    told = [_for_people(part) for part in trouble.exceptions]
    return told[0] if all(told) else None
