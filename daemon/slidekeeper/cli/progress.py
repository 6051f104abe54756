"""A bar with bytes, rate and time to go, fed from threads."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from slidekeeper.cli.render import size


class Bar:
    """A context manager; on standard error, and only on a terminal, and never when ``quiet``."""

    def __init__(self, what: str, *, quiet: bool) -> None:
        console = Console(stderr=True)
        columns = (TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True)
        self._task = self._progress.add_task(what, total=None)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.stop()

    def begin(self, total: int) -> None:
        """So many bytes are to come."""
        self._progress.update(self._task, total=total)

    def advance(self, count: int) -> None:
        """So many bytes are done."""
        self._progress.advance(self._task, count)


def summary(count: int, seconds: float) -> str:
    """``1.2 GB in 3.4 s (353.0 MB/s)``."""
    return f"{size(count)} in {seconds:.1f} s ({size(count / max(seconds, 0.001))}/s)"
